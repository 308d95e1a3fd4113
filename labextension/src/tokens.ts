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

/** How a session came to its end, or into an error. */
export interface IOutcome {
  session: ISession;

  /** Whether it ended because somebody wanted it to, or was done. */
  expected: boolean;
}

/** The sessions of all backends, kept up to date by the server's pushes. */
export interface ISessionsModel {
  /** Emitted after anything shown has changed. */
  readonly changed: ISignal<ISessionsModel, void>;

  /** Emitted with the sessions that have just ended or failed. */
  readonly settled: ISignal<ISessionsModel, IOutcome[]>;

  /** Emitted when the server has other kernels on sessions than before. */
  readonly kernelsChanged: ISignal<ISessionsModel, void>;

  /** Counts the changes of sessions, not of capacity or errors. */
  readonly revision: number;

  /** Whether a list has been received. */
  readonly isLoaded: boolean;

  /** Why the list could not be had, if so. */
  readonly failure: ApiError | null;

  /** When the list was known to be right last, if ever. */
  readonly upToDate: Date | null;

  readonly backends: readonly IBackend[];
  readonly defaultBackend: string | null;

  /** The types of which backends can be added. */
  readonly types: readonly IBackendType[];

  /** When credentials expire, by backend, where that is known. */
  readonly expiries: Readonly<Record<string, IExpiry>>;

  /** What else there is to know of a backend, by name. */
  readonly notices: Readonly<Record<string, INotice>>;

  /** The versions of the server, if known. */
  readonly about: IAbout | null;

  /** What is wrong with a backend, by name. */
  readonly errors: Readonly<Record<string, string>>;

  /** How many live sessions there are over all backends. */
  readonly size: number;

  /** The names of backends that have live sessions. */
  readonly populated: readonly string[];

  /** The live sessions of a backend, newest first. */
  live(backend: string): readonly ISession[];

  /** Sessions seen to end since the page was loaded, latest first. */
  readonly ended: readonly ISession[];

  find(ref: ISessionRef): ISession | undefined;
  backend(name: string): IBackend | undefined;

  create(spec: ISessionSpec): Promise<ISession>;

  /** End a session; `forced` also where the backend needs force for it. */
  terminate(ref: ISessionRef, forced?: boolean): Promise<void>;
  restart(ref: ISessionRef): Promise<void>;

  /** Start a service; `forced` also where the session has no memory for it. */
  startService(ref: ISessionRef, name: string, forced?: boolean): Promise<void>;

  /** Put off the end of a session. */
  renew(ref: ISessionRef): Promise<void>;

  /** Offer one more backend; answers what is at its address. */
  addBackend(wanted: INewBackend): Promise<string>;
  removeBackend(name: string): Promise<void>;

  /** Have the server's version look after a backend's sessions. */
  takeOver(backend: string): Promise<void>;

  signIn(backend: string, given: ISignInRequest): Promise<void>;
  signOut(backend: string): Promise<void>;

  /** Ask the server for its versions. */
  loadAbout(): Promise<void>;

  /** Fetch what has changed since the last list or push. */
  resync(): Promise<void>;

  /** Fetch backends with their free capacity. */
  loadBackends(): Promise<void>;
}

/** A kernel that runs in a session: in one of its own unless it says which. */
export interface IKernel {
  name: string;
  title: string;
  backend?: string;
  image?: string;
  resources?: Resources;
  session?: string;

  /** Whether it was made to open a notebook, and goes when the session ends. */
  endsWithSession: boolean;
}

/** The kernels that run in sessions. */
export interface IKernelsModel {
  /** Emitted when there may be others. */
  readonly changed: ISignal<IKernelsModel, void>;

  /** Those that a person made, by title. */
  readonly saved: readonly IKernel[];

  /** Make one; answers its name. */
  add(request: IKernelRequest): Promise<string>;

  /** The name of the kernel that joins a session, made if need be. */
  attach(ref: ISessionRef): Promise<string>;

  remove(name: string): Promise<void>;

  /** Look anew which there are. */
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
