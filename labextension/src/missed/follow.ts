import type { IDisposable } from '@lumino/disposable';

import type { IExecution } from '../types';

/** The shortest time between two requests. */
const PAUSE_MS = 500;

/** The longest time between two requests. */
const PATIENCE_MS = 2000;

/** The execution to follow, and callbacks. */
export interface IFollowing {
  /** Fetch the execution; null if it is no longer stored. */
  load(): Promise<IExecution | null>;

  show(execution: IExecution): void;

  /** Called once, after the end or the disposal. */
  done(): void;
}

/** Updates the output of an execution until it has ended. */
export class Follower implements IDisposable {
  constructor(
    private readonly _following: IFollowing,
    private readonly _pause = PAUSE_MS,
    private readonly _patience = PATIENCE_MS
  ) {
    this._timer = setTimeout(() => this._fetch(), this._pause);
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  /** Fetch soon, because the execution has printed something. */
  hint(): void {
    this._isHinted = true;
    if (!this._isLoading && !this._isDisposed) {
      this._schedule(Math.max(0, this._loaded + this._pause - Date.now()));
    }
  }

  dispose(): void {
    if (!this._isDisposed) {
      this._isDisposed = true;
      clearTimeout(this._timer);
      this._following.done();
    }
  }

  private _schedule(ms: number): void {
    clearTimeout(this._timer);
    this._timer = setTimeout(() => this._fetch(), ms);
  }

  private _fetch(): void {
    void this._load().catch(() => this._scheduleNext());
  }

  private async _load(): Promise<void> {
    this._isLoading = true;
    this._isHinted = false;
    this._loaded = Date.now();
    const execution = await this._following.load();
    if (this._isDisposed) {
      return;
    }
    if (execution) {
      this._following.show(execution);
    }
    if (execution?.status === 'running') {
      this._scheduleNext();
    } else {
      this.dispose();
    }
  }

  private _scheduleNext(): void {
    this._isLoading = false;
    if (!this._isDisposed) {
      this._schedule(this._isHinted ? this._pause : this._patience);
    }
  }

  private _isDisposed = false;
  private _isHinted = false;
  private _isLoading = false;
  private _loaded = Date.now();
  private _timer: ReturnType<typeof setTimeout>;
}
