import { Token } from '@lumino/coreutils';
import type { ISignal } from '@lumino/signaling';

import type { ApiError } from './request';
import type {
  IAbout,
  IBackend,
  IBackendType,
  IExpiry,
  INotice,
  IKernelRequest,
  INewBackend,
  ISession,
  ISessionSpec,
  ISignInRequest
} from './types';
import type { ISessionRef, Resources } from './vocabulary';

/** The id of the panel in the shell. */
export const PANEL_ID = 'jupyter-sessions';

/** The ids of the commands. */
export namespace CommandIDs {
  export const create = 'jupyter-sessions:create';
  export const terminate = 'jupyter-sessions:terminate';
  export const restart = 'jupyter-sessions:restart';
  export const openService = 'jupyter-sessions:open-service';
  export const copyMagic = 'jupyter-sessions:copy-magic';
  export const refresh = 'jupyter-sessions:refresh';
  export const showEnded = 'jupyter-sessions:show-ended';
  export const insertMissed = 'jupyter-sessions:insert-missed';
  export const openNotebook = 'jupyter-sessions:open-notebook';
  export const useForNotebook = 'jupyter-sessions:use-for-notebook';
  export const saveKernel = 'jupyter-sessions:save-kernel';
  export const startKernel = 'jupyter-sessions:start-kernel';
  export const removeKernel = 'jupyter-sessions:remove-kernel';
  export const addBackend = 'jupyter-sessions:add-backend';
  export const removeBackend = 'jupyter-sessions:remove-backend';
  export const takeOver = 'jupyter-sessions:take-over';
  export const signIn = 'jupyter-sessions:sign-in';
  export const signOut = 'jupyter-sessions:sign-out';
}

/** How a session has ended or failed. */
export interface IOutcome {
  session: ISession;

  /** Whether a user requested the end, or the work was done. */
  expected: boolean;
}

/** The sessions of all backends, kept up to date by the server's pushes. */
export interface ISessionsModel {
  /** Emitted after anything shown has changed. */
  readonly changed: ISignal<ISessionsModel, void>;

  /** Emitted with the sessions that have just ended or failed. */
  readonly settled: ISignal<ISessionsModel, IOutcome[]>;

  /** Emitted when the server's kernels on sessions have changed. */
  readonly kernelsChanged: ISignal<ISessionsModel, void>;

  /** A counter of changes of sessions, not of capacity or errors. */
  readonly revision: number;

  /** Whether a list has been received. */
  readonly isLoaded: boolean;

  /** Why the list could not be loaded, or null. */
  readonly failure: ApiError | null;

  /** When the list was last known to be up to date. */
  readonly upToDate: Date | null;

  readonly backends: readonly IBackend[];
  readonly defaultBackend: string | null;

  /** The types of backends that can be added. */
  readonly types: readonly IBackendType[];

  /** When credentials expire, by backend, if known. */
  readonly expiries: Readonly<Record<string, IExpiry>>;

  /** Notices about backends, by name. */
  readonly notices: Readonly<Record<string, INotice>>;

  /** The versions of the server, if known. */
  readonly about: IAbout | null;

  /** The errors of backends, by name. */
  readonly errors: Readonly<Record<string, string>>;

  /** The number of live sessions of all backends. */
  readonly size: number;

  /** The names of backends that have live sessions. */
  readonly populated: readonly string[];

  /** The live sessions of a backend, newest first. */
  live(backend: string): readonly ISession[];

  /** The sessions that have ended since the page was loaded, latest first. */
  readonly ended: readonly ISession[];

  find(ref: ISessionRef): ISession | undefined;
  backend(name: string): IBackend | undefined;

  create(spec: ISessionSpec): Promise<ISession>;

  /** Terminate a session; with `forced` even where the backend requires force. */
  terminate(ref: ISessionRef, forced?: boolean): Promise<void>;
  restart(ref: ISessionRef): Promise<void>;

  /** Start a service; with `forced` even if the session lacks the memory. */
  startService(ref: ISessionRef, name: string, forced?: boolean): Promise<void>;

  /** Extend the time of a session. */
  renew(ref: ISessionRef): Promise<void>;

  /** Add a backend, and return what was found at its address. */
  addBackend(wanted: INewBackend): Promise<string>;
  removeBackend(name: string): Promise<void>;

  /** Let the manager of the server's version take over a backend's sessions. */
  takeOver(backend: string): Promise<void>;

  signIn(backend: string, given: ISignInRequest): Promise<void>;
  signOut(backend: string): Promise<void>;

  /** Fetch the versions of the server. */
  loadAbout(): Promise<void>;

  /** Fetch the changes since the last list or push. */
  resync(): Promise<void>;

  /** Fetch backends with their free capacity. */
  loadBackends(): Promise<void>;
}

/** A kernel that runs in `session`, or in a session of its own. */
export interface IKernel {
  name: string;
  title: string;
  backend?: string;
  image?: string;
  resources?: Resources;
  session?: string;

  /** Whether it was made to open a notebook, and is removed when the session ends. */
  endsWithSession: boolean;
}

/** The kernels that run in sessions. */
export interface IKernelsModel {
  /** Emitted when the kernels may have changed. */
  readonly changed: ISignal<IKernelsModel, void>;

  /** The kernels that people made, by title. */
  readonly saved: readonly IKernel[];

  /** Create a kernel, and return its name. */
  add(request: IKernelRequest): Promise<string>;

  /** Return the name of the kernel that attaches to a session, created if needed. */
  attach(ref: ISessionRef): Promise<string>;

  remove(name: string): Promise<void>;

  /** Reload the kernels. */
  refresh(): Promise<void>;
}

/** The kernels, for extensions that show them elsewhere. */
export const IKernelsModel = new Token<IKernelsModel>(
  'jupyter-sessions:IKernelsModel',
  'The kernels that run in compute sessions.'
);

/** The model, for extensions that show sessions elsewhere. */
export const ISessionsModel = new Token<ISessionsModel>(
  'jupyter-sessions:ISessionsModel',
  'The compute sessions of all backends, kept up to date.'
);
