/** A map that forgets what was used longest ago. */
export interface Lru<T> {
  get(key: string): T | undefined;
  set(key: string, value: T): void;
  delete(key: string): void;
  clear(): void;
}

export function createLru<T>(max: number): Lru<T> {
  const values = new Map<string, T>();
  return {
    get(key) {
      const value = values.get(key);
      if (value === undefined) return undefined;
      values.delete(key);
      values.set(key, value);
      return value;
    },
    set(key, value) {
      values.delete(key);
      values.set(key, value);
      for (const oldest of values.keys()) {
        if (values.size <= max) return;
        values.delete(oldest);
      }
    },
    delete(key) {
      values.delete(key);
    },
    clear: () => values.clear(),
  };
}
