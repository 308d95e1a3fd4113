import { URLExt } from '@jupyterlab/coreutils';
import type { ServerConnection } from '@jupyterlab/services';

import { requestAPI } from './request';
import type {
  IBackends,
  IListing,
  ISession,
  ISessionRef,
  ISessionSpec
} from './types';

/** Where in the change journal a list stands. */
export interface IPosition {
  epoch: string;
  rev: number;
}

function sessionPath({ backend, id }: ISessionRef): string {
  return `sessions/${encodeURIComponent(backend)}/${encodeURIComponent(id)}`;
}

/** The routes of the server extension that the panel uses. */
export class SessionsApi {
  constructor(readonly settings: ServerConnection.ISettings) {}

  /** All live sessions, or what changed since a position. */
  list(since: IPosition | null): Promise<IListing> {
    const query = since
      ? URLExt.objectToQueryString({
          since: `${since.rev}`,
          epoch: since.epoch
        })
      : '';
    return requestAPI(`sessions${query}`, this.settings);
  }

  get(ref: ISessionRef): Promise<ISession> {
    return requestAPI(sessionPath(ref), this.settings);
  }

  create(spec: ISessionSpec): Promise<ISession> {
    return this._send('POST', 'sessions', spec);
  }

  restart(ref: ISessionRef): Promise<ISession | null> {
    return this._send('PATCH', sessionPath(ref), { action: 'restart' });
  }

  terminate(ref: ISessionRef): Promise<ISession | null> {
    return requestAPI(sessionPath(ref), this.settings, { method: 'DELETE' });
  }

  backends(): Promise<IBackends> {
    return requestAPI('backends', this.settings);
  }

  private _send<T>(method: string, path: string, body: object): Promise<T> {
    const headers = { 'Content-Type': 'application/json' };
    const init = { method, headers, body: JSON.stringify(body) };
    return requestAPI(path, this.settings, init);
  }
}

/** Where a service opens; null when its address is none for a browser. */
export function serviceURL(url: string, baseUrl: string): string | null {
  try {
    const resolved = new URL(url, baseUrl);
    return /^https?:$/.test(resolved.protocol) ? resolved.href : null;
  } catch {
    return null;
  }
}
