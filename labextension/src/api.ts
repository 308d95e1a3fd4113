import { URLExt } from '@jupyterlab/coreutils';
import type { ServerConnection } from '@jupyterlab/services';

import { requestAPI } from './request';
import type {
  IAbout,
  IBackends,
  IKernelRequest,
  IPosition,
  IOutputs,
  ISessionList,
  ISessionChanges,
  IKernel,
  IBackendAdded,
  IServiceStarted,
  ISessionOfKernel,
  INewBackend,
  ISession,
  ISessionSpec,
  ISignInRequest
} from './types';
import type { ISessionRef } from './vocabulary';

/** The executions to fetch: all, or the one with a number; `heads` leaves out outputs. */
export interface ISelection {
  number?: number;
  heads?: boolean;
}

function sessionPath({ backend, id }: ISessionRef): string {
  return `sessions/${encodeURIComponent(backend)}/${encodeURIComponent(id)}`;
}

function backendPath(name: string): string {
  return `backends/${encodeURIComponent(name)}`;
}

/** The routes of the server extension that the panel uses. */
export class SessionsApi {
  constructor(readonly settings: ServerConnection.ISettings) {}

  /** Fetch all live sessions, or the changes since a position. */
  list(
    since: IPosition | null,
    signal?: AbortSignal
  ): Promise<ISessionList | ISessionChanges> {
    const query = since
      ? URLExt.objectToQueryString({
          since: `${since.rev}`,
          epoch: since.epoch
        })
      : '';
    return requestAPI(`sessions${query}`, this.settings, { signal });
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

  renew(ref: ISessionRef): Promise<ISession | null> {
    return this._send('PATCH', sessionPath(ref), { action: 'renew' });
  }

  terminate(ref: ISessionRef, forced = false): Promise<ISession | null> {
    const path = `${sessionPath(ref)}${forced ? '?forced=true' : ''}`;
    return requestAPI(path, this.settings, { method: 'DELETE' });
  }

  startService(
    ref: ISessionRef,
    name: string,
    forced = false
  ): Promise<IServiceStarted> {
    const path = `${sessionPath(ref)}/services/${encodeURIComponent(name)}`;
    return requestAPI(`${path}${forced ? '?forced=true' : ''}`, this.settings, {
      method: 'POST'
    });
  }

  addKernel(request: IKernelRequest): Promise<IKernel> {
    return this._send('POST', 'kernelspecs', request);
  }

  removeKernel(name: string): Promise<null> {
    const path = `kernelspecs/${encodeURIComponent(name)}`;
    return requestAPI(path, this.settings, { method: 'DELETE' });
  }

  backends(): Promise<IBackends> {
    return requestAPI('backends', this.settings);
  }

  addBackend(wanted: INewBackend): Promise<IBackendAdded> {
    return this._send('POST', 'backends', wanted);
  }

  removeBackend(name: string): Promise<null> {
    return requestAPI(backendPath(name), this.settings, { method: 'DELETE' });
  }

  /** Let the manager of the server's version take over a backend's sessions. */
  takeOver(name: string): Promise<null> {
    const path = `${backendPath(name)}/takeover`;
    return requestAPI(path, this.settings, { method: 'POST' });
  }

  /** Fetch the versions of the server. */
  about(): Promise<IAbout> {
    return requestAPI('', this.settings);
  }

  signIn(name: string, given: ISignInRequest): Promise<null> {
    return this._send('POST', `${backendPath(name)}/sign-in`, given);
  }

  signOut(name: string): Promise<null> {
    const init = { method: 'DELETE' };
    return requestAPI(`${backendPath(name)}/sign-in`, this.settings, init);
  }

  /** Fetch the executions of a session, of all clients. */
  outputs(ref: ISessionRef, which: ISelection): Promise<IOutputs> {
    const given = Object.entries(which).map(([name, value]) => [
      name,
      `${value}`
    ]);
    const query = URLExt.objectToQueryString(Object.fromEntries(given));
    return requestAPI(`${sessionPath(ref)}/outputs${query}`, this.settings);
  }

  /** Fetch the session in which a kernel of this server runs, or null. */
  async sessionOf(kernelId: string): Promise<ISessionRef | null> {
    const path = `kernels/${encodeURIComponent(kernelId)}`;
    const { backend, id } = await requestAPI<ISessionOfKernel>(
      path,
      this.settings
    );
    return backend && id ? { backend, id } : null;
  }

  private _send<T>(method: string, path: string, body: object): Promise<T> {
    const headers = { 'Content-Type': 'application/json' };
    const init = { method, headers, body: JSON.stringify(body) };
    return requestAPI(path, this.settings, init);
  }
}

/** The URL of a service; null if a browser cannot open it. */
export function serviceURL(
  url: string | undefined,
  baseUrl: string
): string | null {
  if (!url) {
    return null;
  }
  try {
    const resolved = new URL(url, baseUrl);
    return /^https?:$/.test(resolved.protocol) ? resolved.href : null;
  } catch {
    return null;
  }
}
