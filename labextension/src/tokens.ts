import { Token } from '@lumino/coreutils';
import type { ISignal } from '@lumino/signaling';

import type { ApiError } from './request';
import type { IBackend, ISession, ISessionRef, ISessionSpec } from './types';

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

  /** Counts the changes of sessions, not of capacity or errors. */
  readonly revision: number;

  /** Whether a list has been received. */
  readonly isLoaded: boolean;

  /** Why the list could not be had, if so. */
  readonly failure: ApiError | null;

  readonly backends: readonly IBackend[];
  readonly defaultBackend: string | null;

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
  terminate(ref: ISessionRef): Promise<void>;
  restart(ref: ISessionRef): Promise<void>;

  /** Fetch what has changed since the last list or push. */
  resync(): Promise<void>;

  /** Fetch backends with their free capacity. */
  loadBackends(): Promise<void>;
}

/** The model, for extensions that show sessions elsewhere. */
export const ISessionsModel = new Token<ISessionsModel>(
  'jupyter-sessions:ISessionsModel',
  'The compute sessions of all backends, kept up to date.'
);
