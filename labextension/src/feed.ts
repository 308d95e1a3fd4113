import { URLExt } from '@jupyterlab/coreutils';
import type { ServerConnection } from '@jupyterlab/services';
import type { IDisposable } from '@lumino/disposable';
import { type ISignal, Signal } from '@lumino/signaling';

import { asApiError, requestAPI } from './request';
import type { IBatch, IPosition } from './types';

const SCHEMAS = 'https://schema.jupyter.org/jupyter_sessions';

/** What the model needs of whoever brings the server's pushes. */
export interface IFeed {
  /** Emitted when the server answers: at first, and again after it did not. */
  readonly opened: ISignal<IFeed, void>;

  /** Emitted when the server, which has been heard, is heard no more. */
  readonly silent: ISignal<IFeed, void>;

  readonly pushed: ISignal<IFeed, IBatch>;

  /** Emitted every two seconds with the latest position of the server. */
  readonly beat: ISignal<IFeed, IPosition>;
}

/** Milliseconds. The server's heartbeat comes every 2 seconds. */
export interface ITimes {
  /** How often it is looked whether the server was heard. */
  tick: number;

  /** Ticks without a message after which the server counts as silent. */
  silence: number;

  /** The pause before the server is tried again. */
  retry: number;

  /** The longest such pause, where requests work but WebSockets do not. */
  longestRetry: number;

  /** How long a try may take. */
  patience: number;
}

const TIMES: ITimes = {
  tick: 500,
  silence: 8,
  retry: 1000,
  longestRetry: 30_000,
  patience: 10_000
};

/** What a proxy in front of the server answers while that is away. */
const IS_AWAY = [424, 502, 503, 504];

/** What the server sends: which kind it is, and what a push holds. */
type Event = { schema_id?: string } & Partial<IBatch>;

function isPosition(event: Event): event is Event & IPosition {
  return typeof event.epoch === 'string' && Number.isInteger(event.rev);
}

/**
 * The server's event stream, cut down to session changes and heartbeats.
 *
 * It has a connection of its own: the application's event manager reconnects
 * without telling anyone, and after up to 30 seconds. While the server is away
 * it is tried by requests: browsers delay WebSockets after several failed.
 */
export class EventFeed implements IFeed, IDisposable {
  constructor(
    private readonly _settings: ServerConnection.ISettings,
    private readonly _isHidden: () => boolean,
    private readonly _times: ITimes = TIMES
  ) {
    this._pause = _times.retry;
    this._ticking = setInterval(() => this._tick(), _times.tick);
    this._connect();
  }

  get opened(): ISignal<this, void> {
    return this._opened;
  }

  get silent(): ISignal<this, void> {
    return this._silent;
  }

  get pushed(): ISignal<this, IBatch> {
    return this._pushed;
  }

  get beat(): ISignal<this, IPosition> {
    return this._beat;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  /** Try again at once: the page has become visible. */
  wake(): void {
    this._ticks = 0;
    if (!this._socket) {
      void this._try();
    }
  }

  dispose(): void {
    this._isDisposed = true;
    clearInterval(this._ticking);
    clearTimeout(this._retrying);
    this._drop();
    Signal.clearData(this);
  }

  private _connect(): void {
    const { appendToken, token, WebSocket, wsUrl } = this._settings;
    const url = URLExt.join(wsUrl, 'api/events/subscribe');
    const query =
      appendToken && token ? `?token=${encodeURIComponent(token)}` : '';
    const socket = new WebSocket(url + query);
    this._socket = socket;
    socket.onopen = () => {
      this._pause = this._times.retry;
      this._hear();
      this._opened.emit();
    };
    socket.onmessage = ({ data }) => this._take(JSON.parse(data));
    socket.onclose = () => {
      this._socket = null;
      this._tryLater();
    };
  }

  private _drop(): void {
    const socket = this._socket;
    if (socket) {
      this._socket = null;
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
  }

  private _take(event: Event): void {
    this._hear();
    if (!isPosition(event)) {
      return;
    }
    if (event.schema_id === `${SCHEMAS}/heartbeat/v1`) {
      this._hasBeat = true;
      this._beat.emit(event);
    } else if (
      event.schema_id === `${SCHEMAS}/session/v1` &&
      Array.isArray(event.changes)
    ) {
      this._pushed.emit(event as IBatch);
    }
  }

  private _hear(): void {
    this._ticks = 0;
    this._isSilent = false;
  }

  /** Ticks are counted, not time: a page that was busy has not listened. */
  private _tick(): void {
    this._ticks++;
    if (
      this._hasBeat &&
      !this._isSilent &&
      this._ticks >= this._times.silence &&
      !this._isHidden()
    ) {
      this._isSilent = true;
      this._drop();
      this._silent.emit();
      void this._try();
    }
  }

  private _tryLater(): void {
    clearTimeout(this._retrying);
    if (!this._isDisposed) {
      this._retrying = setTimeout(() => void this._try(), this._pause);
    }
  }

  /** Ask the server for anything, and connect once it answers. */
  private async _try(): Promise<void> {
    clearTimeout(this._retrying);
    if (this._isTrying || this._isHidden()) {
      return;
    }
    this._isTrying = true;
    const answers = await this._answers();
    this._isTrying = false;
    if (this._isDisposed || this._socket) {
      return;
    }
    if (answers) {
      this._pause = Math.min(2 * this._pause, this._times.longestRetry);
      this._hear();
      this._opened.emit();
      this._connect();
    } else {
      this._pause = this._times.retry;
      this._tryLater();
    }
  }

  private async _answers(): Promise<boolean> {
    const signal = AbortSignal.timeout(this._times.patience);
    try {
      await requestAPI('', this._settings, { signal });
      return true;
    } catch (error) {
      const { status } = asApiError(error);
      const answers = status > 0 && !IS_AWAY.includes(status);
      // Nobody beats where the extension is not, or lets nobody in
      this._hasBeat &&= !answers;
      return answers;
    }
  }

  private _socket: WebSocket | null = null;
  private _ticks = 0;
  private _pause: number;
  private _hasBeat = false;
  private _isSilent = false;
  private _isTrying = false;
  private _isDisposed = false;
  private _retrying: ReturnType<typeof setTimeout> | undefined;
  private readonly _ticking: ReturnType<typeof setInterval>;
  private readonly _opened = new Signal<this, void>(this);
  private readonly _silent = new Signal<this, void>(this);
  private readonly _pushed = new Signal<this, IBatch>(this);
  private readonly _beat = new Signal<this, IPosition>(this);
}
