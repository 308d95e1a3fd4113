import { type ISignal, Signal } from '@lumino/signaling';

import type { SessionsApi } from './api';
import type { IFeed } from './feed';
import { ApiError, asApiError, NO_ANSWER } from './request';
import { endedAsWished, isLive } from './status';
import { type IEffects, SessionStore } from './store';
import type { IOutcome, ISessionsModel } from './tokens';
import type {
  IAbout,
  IBackend,
  IBackendType,
  IExpiry,
  IPosition,
  ISessionChanges,
  ISessionList,
  INewBackend,
  INotice,
  IBatch,
  ISession,
  ISessionSpec,
  ISignInRequest
} from './types';
import type { Change, ISessionRef } from './vocabulary';

/** The most vanished sessions to look up; more vanish only with their backend. */
const VANISHED_ASKED = 20;

/** Follows the server's change journal; has no DOM. */
export class SessionsModel implements ISessionsModel {
  constructor(
    private readonly _api: SessionsApi,
    feed: IFeed
  ) {
    feed.opened.connect(() => void this.resync());
    feed.silent.connect(() => this._onSilence());
    feed.pushed.connect((_, push) => this._handlePush(push));
    feed.beat.connect((_, position) => this._checkPosition(position));
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get settled(): ISignal<this, IOutcome[]> {
    return this._settled;
  }

  get kernelsChanged(): ISignal<this, void> {
    return this._kernelsChanged;
  }

  get revision(): number {
    return this._revision;
  }

  get isLoaded(): boolean {
    return this._position !== null;
  }

  get failure(): ApiError | null {
    return this._failure;
  }

  get upToDate(): Date | null {
    return this._upToDate;
  }

  get backends(): readonly IBackend[] {
    return this._backends;
  }

  get defaultBackend(): string | null {
    return this._defaultBackend;
  }

  get errors(): Readonly<Record<string, string>> {
    return this._errors;
  }

  get types(): readonly IBackendType[] {
    return this._types;
  }

  get expiries(): Readonly<Record<string, IExpiry>> {
    return this._expiries;
  }

  get notices(): Readonly<Record<string, INotice>> {
    return this._notices;
  }

  get about(): IAbout | null {
    return this._about;
  }

  get size(): number {
    return this._store.size;
  }

  get populated(): readonly string[] {
    return this._store.populated;
  }

  get ended(): readonly ISession[] {
    return this._store.ended;
  }

  live(backend: string): readonly ISession[] {
    return this._store.live(backend);
  }

  find(ref: ISessionRef): ISession | undefined {
    return this._store.find(ref);
  }

  backend(name: string): IBackend | undefined {
    return this._backends.find(backend => backend.name === name);
  }

  async create(spec: ISessionSpec): Promise<ISession> {
    const session = await this._api.create(spec);
    this._finish(this._store.offer(session));
    return session;
  }

  async startService(
    ref: ISessionRef,
    name: string,
    forced = false
  ): Promise<void> {
    await this._api.startService(ref, name, forced);
  }

  async terminate(ref: ISessionRef, forced = false): Promise<void> {
    const key = `${ref.backend}/${ref.id}`;
    this._unwanted.add(key);
    try {
      this._update(await this._api.terminate(ref, forced));
    } catch (error) {
      this._unwanted.delete(key);
      throw error;
    }
  }

  async restart(ref: ISessionRef): Promise<void> {
    this._update(await this._api.restart(ref));
  }

  async renew(ref: ISessionRef): Promise<void> {
    this._update(await this._api.renew(ref));
  }

  async addBackend(wanted: INewBackend): Promise<string> {
    const { found } = await this._api.addBackend(wanted);
    await this._reloadBackends();
    return found;
  }

  async removeBackend(name: string): Promise<void> {
    await this._api.removeBackend(name);
    await this._reloadBackends();
  }

  async takeOver(backend: string): Promise<void> {
    await this._api.takeOver(backend);
    await this._reloadBackends();
  }

  async signIn(backend: string, given: ISignInRequest): Promise<void> {
    await this._api.signIn(backend, given);
    await this._reloadBackends();
  }

  async signOut(backend: string): Promise<void> {
    await this._api.signOut(backend);
    await this._reloadBackends();
  }

  async loadAbout(): Promise<void> {
    try {
      this._about = await this._api.about();
      this._changed.emit();
    } catch {
      // The list shows what is wrong with the server
    }
  }

  resync(): Promise<void> {
    this._resyncing ??= this._reload();
    return this._resyncing;
  }

  async loadBackends(): Promise<void> {
    try {
      const { backends, default_backend, types } = await this._api.backends();
      this._backends = backends;
      this._types = types ?? [];
      this._defaultBackend = default_backend ?? backends[0]?.name ?? null;
      this._updateErrors(backends);
    } catch (error) {
      this._failure = asApiError(error);
    }
    this._changed.emit();
  }

  /** Reload sessions and backends after a change of the backends. */
  private async _reloadBackends(): Promise<void> {
    await this.resync();
    await this.loadBackends();
  }

  /** Whether changes affect the backends that are loaded. */
  private _changesBackends(changes: Change[]): boolean {
    return (
      this._backends.length > 0 && changes.some(({ op }) => op === 'backend')
    );
  }

  private _updateErrors(backends: IBackend[]): void {
    for (const { name, health } of backends) {
      if (health?.ok) {
        delete this._errors[name];
      } else if (health?.message) {
        this._errors[name] = health.message;
      }
    }
  }

  /** Abort requests and show the failure, because the server has fallen silent. */
  private _onSilence(): void {
    this._loading?.abort();
    this._failure = new ApiError('', NO_ANSWER);
    this._changed.emit();
  }

  /** Resync if the server's position shows that pushes were lost. */
  private _checkPosition({ epoch, rev }: IPosition): void {
    const known = this._position;
    if (!known || this._resyncing) {
      return;
    }
    if (epoch !== known.epoch || rev > known.rev) {
      void this.resync();
    } else {
      this._upToDate = new Date();
    }
  }

  private async _reload(): Promise<void> {
    this._loading = new AbortController();
    const { signal } = this._loading;
    try {
      this._accept(await this._api.list(this._position, signal));
    } catch (error) {
      this._failure = asApiError(error);
      this._changed.emit();
    }
    this._resyncing = null;
    this._held.splice(0).forEach(push => this._handlePush(push));
  }

  private _accept(listing: ISessionList | ISessionChanges): void {
    const { epoch, rev, errors = {}, expiries = {} } = listing;
    this._expiries = expiries;
    this._notices = listing.notices ?? {};
    if (this._failure) {
      this._revision++;
    }
    this._failure = null;
    this._errors = { ...errors };
    this._position = { epoch, rev };
    this._upToDate = new Date();
    if ('sessions' in listing) {
      const unheard = new Set(Object.keys(errors));
      this._finish(this._store.replace(listing.sessions, unheard));
    } else if (listing.changes.length > 0) {
      this._apply(listing.changes);
      if (this._changesBackends(listing.changes)) {
        void this.loadBackends();
      }
    } else {
      this._changed.emit();
    }
  }

  private _handlePush(push: IBatch): void {
    if (this._resyncing) {
      this._held.push(push);
      return;
    }
    const { epoch, rev } = this._position ?? { epoch: null, rev: 0 };
    if (push.epoch !== epoch || push.rev > rev + 1) {
      void this.resync();
    } else if (push.rev === rev + 1) {
      this._position = { epoch, rev: push.rev };
      this._upToDate = new Date();
      this._apply(push.changes);
      if (this._changesBackends(push.changes)) {
        void this._reloadBackends();
      }
    }
  }

  private _apply(changes: Change[]): void {
    this._finish(this._store.apply(changes));
    if (changes.some(({ op }) => op === 'kernels')) {
      this._kernelsChanged.emit();
    }
  }

  private _update(session: ISession | null): void {
    if (session) {
      this._finish(this._store.offer(session));
    }
  }

  private _finish({ settled, vanished }: IEffects): void {
    this._revision++;
    this._changed.emit();
    this._emitSettled(settled);
    void this._fetchEnds(vanished.slice(0, VANISHED_ASKED));
  }

  /** Fetch how sessions ended that have left the list. */
  private async _fetchEnds(vanished: ISession[]): Promise<void> {
    const answers = await Promise.all(
      vanished.map(row => this._api.get(row).catch(() => row))
    );
    const ended = answers.filter(row => !isLive(row));
    if (ended.length > 0) {
      this._finish(
        this._store.apply(ended.map(session => ({ op: 'put', session })))
      );
    }
  }

  private _emitSettled(settled: ISession[]): void {
    if (settled.length > 0) {
      this._settled.emit(settled.map(row => this._outcome(row)));
    }
  }

  private _outcome(session: ISession): IOutcome {
    const unwanted = this._unwanted.delete(`${session.backend}/${session.id}`);
    return { session, expected: unwanted || endedAsWished(session) };
  }

  private _revision = 0;
  private _failure: ApiError | null = null;
  private _errors: Record<string, string> = {};
  private _backends: readonly IBackend[] = [];
  private _defaultBackend: string | null = null;
  private _types: readonly IBackendType[] = [];
  private _expiries: Record<string, IExpiry> = {};
  private _notices: Record<string, INotice> = {};
  private _about: IAbout | null = null;
  private _position: IPosition | null = null;
  private _resyncing: Promise<void> | null = null;
  private _loading: AbortController | null = null;
  private _upToDate: Date | null = null;
  private readonly _held: IBatch[] = [];
  private readonly _store = new SessionStore();
  private readonly _unwanted = new Set<string>();
  private readonly _changed = new Signal<this, void>(this);
  private readonly _settled = new Signal<this, IOutcome[]>(this);
  private readonly _kernelsChanged = new Signal<this, void>(this);
}
