/**
 * What travels between the panel and the server, in the server's spelling.
 */

/** A service of a session that opens in a browser tab. */
export interface IService {
  name: string;
  protocol?: string;
  url: string;
}

/** Amounts by slot: `cpu`, `mem`, `cuda.device` and the like, all text. */
export type Resources = Record<string, string>;

/** What names a session over all backends. */
export interface ISessionRef {
  backend: string;
  id: string;
}

/** A row of the list; fields that have no value are absent. */
export interface ISession extends ISessionRef {
  name: string;
  status: string;
  status_info?: string;
  image?: string;
  type?: string;
  result?: string;
  resources?: Resources;
  services?: IService[];
  created_at?: string;
  status_changed?: string;
  terminated_at?: string;
  ends_why?: string;
}

/** One step of the change journal. */
export type Change =
  | { op: 'put'; session: ISession }
  | { op: 'remove'; backend: string; id: string };

/** What the server pushes: revision `rev` is `changes` after `rev - 1`. */
export interface IPush {
  epoch: string;
  rev: number;
  changes: Change[];
}

/** An answer of the list: all rows, or what changed since a revision. */
export interface IListing {
  epoch: string;
  rev: number;
  errors?: Record<string, string>;
  sessions?: ISession[];
  changes?: Change[];
}

export interface IImage {
  name: string;
  title?: string;
  aliases?: string[];
  language?: string;
}

/** An amount there is and how much of it nobody has now. */
export interface ICapacity {
  total: string;
  free?: string;
}

export interface INameRule {
  pattern: string;
  message: string;
}

export interface IBackend {
  name: string;
  type: string;
  title?: string;
  capabilities?: string[];
  health?: { ok: boolean; message?: string | null };
  capacity?: Record<string, ICapacity> | null;
  default_resources?: Resources;
  images?: IImage[];
  name_rule?: INameRule | null;
}

export interface IBackends {
  default_backend?: string | null;
  backends: IBackend[];
}

/** What a new session is asked with. */
export interface ISessionSpec {
  backend?: string;
  name?: string;
  image?: string;
  /** Relative to the root of the file browser. */
  cwd?: string;
  resources: Resources;
  reuse_if_exists: boolean;
}

/** The body of an answer that is an error. */
export interface IProblem {
  message?: string;
  reason?: string | null;
  hint?: string | null;
  field?: string | null;
}
