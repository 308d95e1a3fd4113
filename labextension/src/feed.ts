import { URLExt } from '@jupyterlab/coreutils';
import type { ServerConnection } from '@jupyterlab/services';
import type { IDisposable } from '@lumino/disposable';
import { type ISignal, Signal } from '@lumino/signaling';

import { asApiError, requestAPI } from './request';
import type { IBatch, IPosition } from './types';

const SCHEMAS = 'https://schema.jupyter.org/jupyter_sessions';

/** The source of the server's pushes, as the model uses it. */
export interface IFeed {
  /** Emitted when the server answers for the first time, and again after a silence. */
  readonly opened: ISignal<IFeed, void>;

  /** Emitted when the server has fallen silent. */
  readonly silent: ISignal<IFeed, void>;

  readonly pushed: ISignal<IFeed, IBatch>;

  /** Emitted every two seconds with the latest position of the server. */
  readonly beat: ISignal<IFeed, IPosition>;
}

/** Milliseconds. The server's heartbeat comes every 2 seconds. */
export interface ITimes {
  /** The interval between two checks for messages. */
  tick: number;

  /** Ticks without a message after which the server counts as silent. */
  silence: number;

  /** The pause before the next attempt to connect. */
  retry: number;

  /** The longest such pause, used where requests work but WebSockets do not. */
  longestRetry: number;

  /** How long an attempt may take. */
  patience: number;
}

const TIMES: ITimes = {
  tick: 500,
  silence: 8,
  retry: 1000,
  longestRetry: 30_000,
  patience: 10_000
};

/** The statuses with which a proxy answers while the server is down. */
const IS_AWAY = [424, 502, 503, 504];

/** A message of the server: its kind, and the content of a push. */
type Event = { schema_id?: string } & Partial<IBatch>;

function isPosition(event: Event): event is Event & IPosition {
  return typeof event.epoch === 'string' && Number.isInteger(event.rev);
}

/**
 * The session changes and heartbeats in the server's event stream.
 *
 * It has a connection of its own, because the application's event manager
 * reconnects without a signal, and only after up to 30 seconds. While the server
 * is down, requests test whether it is back, because browsers delay WebSockets
 * after several failures.
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

  /** Try to connect at once, because the page has become visible. */
  wake(): void {
    this._ticks = 0;
    if (!this._socket) {
      void this._reconnect();
    }
  }

  dispose(): void {
    this._isDisposed = true;
    clearInterval(this._ticking);
    clearTimeout(this._retryTimer);
    this._disconnect();
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
      this._markHeard();
      this._opened.emit();
    };
    socket.onmessage = ({ data }) => this._handleMessage(JSON.parse(data));
    socket.onclose = () => {
      this._socket = null;
      this._reconnectLater();
    };
  }

  private _disconnect(): void {
    const socket = this._socket;
    if (socket) {
      this._socket = null;
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
  }

  private _handleMessage(event: Event): void {
    this._markHeard();
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

  private _markHeard(): void {
    this._ticks = 0;
    this._isSilent = false;
  }

  /** Count ticks instead of time, because a busy page does not receive messages. */
  private _tick(): void {
    this._ticks++;
    if (
      this._hasBeat &&
      !this._isSilent &&
      this._ticks >= this._times.silence &&
      !this._isHidden()
    ) {
      this._isSilent = true;
      this._disconnect();
      this._silent.emit();
      void this._reconnect();
    }
  }

  private _reconnectLater(): void {
    clearTimeout(this._retryTimer);
    if (!this._isDisposed) {
      this._retryTimer = setTimeout(() => void this._reconnect(), this._pause);
    }
  }

  /** Send a request to the server, and connect once it answers. */
  private async _reconnect(): Promise<void> {
    clearTimeout(this._retryTimer);
    if (this._isReconnecting || this._isHidden()) {
      return;
    }
    this._isReconnecting = true;
    const answers = await this._serverAnswers();
    this._isReconnecting = false;
    if (this._isDisposed || this._socket) {
      return;
    }
    if (answers) {
      this._pause = Math.min(2 * this._pause, this._times.longestRetry);
      this._markHeard();
      this._opened.emit();
      this._connect();
    } else {
      this._pause = this._times.retry;
      this._reconnectLater();
    }
  }

  private async _serverAnswers(): Promise<boolean> {
    const signal = AbortSignal.timeout(this._times.patience);
    try {
      await requestAPI('', this._settings, { signal });
      return true;
    } catch (error) {
      const { status } = asApiError(error);
      const answers = status > 0 && !IS_AWAY.includes(status);
      // Without the extension, or without access to it, there is no heartbeat
      this._hasBeat &&= !answers;
      return answers;
    }
  }

  private _socket: WebSocket | null = null;
  private _ticks = 0;
  private _pause: number;
  private _hasBeat = false;
  private _isSilent = false;
  private _isReconnecting = false;
  private _isDisposed = false;
  private _retryTimer: ReturnType<typeof setTimeout> | undefined;
  private readonly _ticking: ReturnType<typeof setInterval>;
  private readonly _opened = new Signal<this, void>(this);
  private readonly _silent = new Signal<this, void>(this);
  private readonly _pushed = new Signal<this, IBatch>(this);
  private readonly _beat = new Signal<this, IPosition>(this);
}
