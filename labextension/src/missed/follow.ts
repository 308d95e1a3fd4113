import type { IDisposable } from '@lumino/disposable';

import type { IExecution } from '../types';

/** Not more than one request in this time, however much is printed. */
const PAUSE_MS = 500;

/** After this time it is asked again, whatever was heard. */
const PATIENCE_MS = 2000;

/** What is followed, and how. */
export interface IFollowing {
  /** The execution as it is now; null when it is not kept any more. */
  load(): Promise<IExecution | null>;

  show(execution: IExecution): void;

  /** Called once, after the end or when it is given up. */
  done(): void;
}

/** Shows an execution again and again until it has ended. */
export class Follower implements IDisposable {
  constructor(
    private readonly _what: IFollowing,
    private readonly _pause = PAUSE_MS,
    private readonly _patience = PATIENCE_MS
  ) {
    this._timer = setTimeout(() => this._next(), this._pause);
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  /** Something was heard of it. */
  hint(): void {
    this._isHinted = true;
    if (!this._isLoading && !this._isDisposed) {
      this._wait(Math.max(0, this._loaded + this._pause - Date.now()));
    }
  }

  dispose(): void {
    if (!this._isDisposed) {
      this._isDisposed = true;
      clearTimeout(this._timer);
      this._what.done();
    }
  }

  private _wait(ms: number): void {
    clearTimeout(this._timer);
    this._timer = setTimeout(() => this._next(), ms);
  }

  private _next(): void {
    void this._load().catch(() => this._again());
  }

  private async _load(): Promise<void> {
    this._isLoading = true;
    this._isHinted = false;
    this._loaded = Date.now();
    const execution = await this._what.load();
    if (this._isDisposed) {
      return;
    }
    if (execution) {
      this._what.show(execution);
    }
    if (execution?.status === 'running') {
      this._again();
    } else {
      this.dispose();
    }
  }

  private _again(): void {
    this._isLoading = false;
    if (!this._isDisposed) {
      this._wait(this._isHinted ? this._pause : this._patience);
    }
  }

  private _isDisposed = false;
  private _isHinted = false;
  private _isLoading = false;
  private _loaded = Date.now();
  private _timer: ReturnType<typeof setTimeout>;
}
