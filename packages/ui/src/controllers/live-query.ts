/** Renders an element again whenever a live value of the messenger changes, while it is connected. */
import type { Live } from "@sotto/sdk";
import type { ReactiveController, ReactiveControllerHost } from "lit";

export class LiveQuery<T> implements ReactiveController {
  readonly #host: ReactiveControllerHost;
  #source: Live<T> | undefined;
  #leave: (() => void) | undefined;
  #connected = false;

  constructor(host: ReactiveControllerHost) {
    this.#host = host;
    host.addController(this);
  }

  /** The current value; undefined while there is no source. */
  get value(): T | undefined {
    return this.#source?.value;
  }

  /** Follows another value from now on. */
  follow(source: Live<T> | undefined): void {
    if (source === this.#source) return;
    this.#leave?.();
    this.#leave = undefined;
    this.#source = source;
    if (!this.#connected) return;
    if (source === undefined) this.#host.requestUpdate();
    else this.#watch();
  }

  hostConnected(): void {
    this.#connected = true;
    this.#watch();
  }

  hostDisconnected(): void {
    this.#connected = false;
    this.#leave?.();
    this.#leave = undefined;
  }

  #watch(): void {
    this.#leave ??= this.#source?.subscribe(() => this.#host.requestUpdate());
  }
}
