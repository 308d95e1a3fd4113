import { EventManager, ServerConnection } from '@jupyterlab/services';
import type { IDisposable } from '@lumino/disposable';
import { type ISignal, Signal } from '@lumino/signaling';

import type { IPush } from './types';

const SCHEMA_ID = 'https://schema.jupyter.org/jupyter_sessions/session/v1';

/** What the model needs of whoever brings the server's pushes. */
export interface IFeed {
  /** Emitted when a connection is made, the first or a later one. */
  readonly opened: ISignal<IFeed, void>;
  readonly pushed: ISignal<IFeed, IPush>;
}

function isPush(event: Partial<IPush>): event is IPush {
  return (
    typeof event.epoch === 'string' &&
    Number.isInteger(event.rev) &&
    Array.isArray(event.changes)
  );
}

/**
 * The server's event stream, cut down to session changes.
 *
 * It has a connection of its own: the application's event manager reconnects
 * without telling anyone, and what was pushed meanwhile would be missed.
 */
export class EventFeed implements IFeed, IDisposable {
  constructor(settings: ServerConnection.ISettings) {
    const WebSocket = this._announcing(settings.WebSocket);
    this._events = new EventManager({
      serverSettings: { ...settings, WebSocket }
    });
    this._events.stream.connect((_, event) => {
      if (event.schema_id === SCHEMA_ID && isPush(event as Partial<IPush>)) {
        this._pushed.emit(event as unknown as IPush);
      }
    });
  }

  get opened(): ISignal<this, void> {
    return this._opened;
  }

  get pushed(): ISignal<this, IPush> {
    return this._pushed;
  }

  get isDisposed(): boolean {
    return this._events.isDisposed;
  }

  dispose(): void {
    this._events.dispose();
    Signal.clearData(this);
  }

  private _announcing(Base: typeof WebSocket): typeof WebSocket {
    const opened = this._opened;
    return class extends Base {
      constructor(url: string | URL, protocols?: string | string[]) {
        super(url, protocols);
        this.addEventListener('open', () => opened.emit());
      }
    };
  }

  private readonly _opened = new Signal<this, void>(this);
  private readonly _pushed = new Signal<this, IPush>(this);
  private readonly _events: EventManager;
}
