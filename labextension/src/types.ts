/**
 * What travels between the panel and the server, in the server's spelling.
 */

/** A service of a session that opens in a browser tab. */
export interface IService {
  name: string;
  protocol?: string;
  url: string;

  /** Why it was ended, until it is started again. */
  ended?: string;
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
  ends_at?: string;
  ends_why?: string;
  starts_at?: string;

  /** Ids of the sessions that it waits for. */
  dependencies?: string[];

  /** The folder it works in, on its own machine. */
  cwd?: string;

  /** The project. */
  group_name?: string;
  resource_group?: string;
  mounts?: string[];
}

/** One step of the change journal; `backend`: one came, went, failed or recovered. */
export type Change =
  | { op: 'put'; session: ISession }
  | { op: 'backend'; backend: string }
  | { op: 'kernels' }
  | { op: 'remove'; backend: string; id: string };

/** What the server pushes: revision `rev` is `changes` after `rev - 1`. */
export interface IPush {
  epoch: string;
  rev: number;
  changes: Change[];
}

/** When the credentials for a backend expire, and the command that renews them. */
export interface IExpiry {
  at: string;
  renew: string;
  title: string;
}

/** An answer of the list: all rows, or what changed since a revision. */
export interface IListing {
  epoch: string;
  rev: number;
  errors?: Record<string, string>;
  expiries?: Record<string, IExpiry>;
  sessions?: ISession[];
  changes?: Change[];
}

export interface IImage {
  name: string;
  title?: string;
  aliases?: string[];
  language?: string;

  /** The types of session it is for, the usual one first. */
  types?: string[];
}

/** Amounts that go by a name. */
export interface ISize {
  name: string;
  resources: Resources;
  shared_memory?: string | null;

  /** Whether there is room for it now. */
  fits?: boolean;
}

/** A folder that sessions may mount; an automatic one each has unasked. */
export interface IFolder {
  name: string;
  read_only?: boolean;
  automatic?: boolean;
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

/** Something that is asked for to sign in. */
export interface ICredentialField {
  name: string;
  label: string;
  secret?: boolean;
}

/** A way to sign in. */
export interface ISignInMethod {
  name: string;
  label: string;
  fields: ICredentialField[];
}

/** How one signs in to a backend, and how things stand; without secrets. */
export interface ISignIn {
  methods: ISignInMethod[];

  /** Whether somebody signed in here, rather than by a configuration. */
  signed_in?: boolean;
  who?: string;
  expires?: string | null;
  renew?: string;
}

/** What goes to the server to sign in. */
export interface ISignInRequest {
  method: string;
  values: Record<string, string>;
  remember: boolean;
}

/** What becomes of files; without a mounted folder all may be deleted. */
export interface IStorage {
  about: string;
  needs_mount?: boolean;
}

/** A type of backend that people may add. */
export interface IBackendType {
  type: string;
  title: string;
}

/** A backend to add. */
export interface INewBackend {
  name: string;
  type: string;
  url: string;
}

export interface IBackend {
  name: string;
  type: string;
  title?: string;
  capabilities?: string[];
  health?: { ok: boolean; message?: string | null };
  capacity?: Record<string, ICapacity> | null;
  default_resources?: Resources;

  /** What a form starts with. */
  suggested_resources?: Resources;
  images?: IImage[];
  sizes?: ISize[];

  /** Resource groups. */
  groups?: string[];
  projects?: string[];
  folders?: IFolder[];
  name_rule?: INameRule | null;
  storage?: IStorage;
  sign_in?: ISignIn;

  /** Whether it lets nobody in with the credentials there are. */
  refused?: boolean;

  /** Whether a person added it. */
  removable?: boolean;
}

export interface IBackends {
  types?: IBackendType[];
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
  type?: string;

  /** The project. */
  group?: string;
  resource_group?: string;
  mounts?: string[];
  resources: Resources;
  resource_opts?: Record<string, string>;
  reuse_if_exists: boolean;
}

/** A kernel to make: with `session` in that one, else in ones of its own. */
export interface IKernelRequest {
  /** Absent for one that goes when its session ends. */
  name?: string;
  display_name?: string;
  backend?: string;
  image?: string;
  resources?: Resources;
  session?: string;
}

/** The body of an answer that is an error. */
export interface IProblem {
  message?: string;
  reason?: string | null;
  hint?: string | null;
  field?: string | null;
}
