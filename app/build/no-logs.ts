/**
 * In place of @libp2p/logger: its log, which a setting of the page turns on, names peers and their addresses, and nobody
 * reads it in the app.
 */
interface SilentLogger {
  (): void;
  error: () => void;
  trace: () => void;
  enabled: boolean;
  newScope: () => SilentLogger;
}

const nothing = (): void => undefined;

const silent: SilentLogger = Object.assign((): void => undefined, {
  error: nothing,
  trace: nothing,
  enabled: false,
  newScope: () => silent,
});

export const defaultLogger = (): { forComponent(): SilentLogger } => ({
  forComponent: () => silent,
});
