import { isLive } from './status';
import type { ISession } from './types';
import type { Change, ISessionRef } from './vocabulary';

/** The most ended sessions to keep until the page is reloaded. */
const ENDED_KEPT = 50;

/** The effects of changes that people may need to know. */
export interface IEffects {
  /** Sessions that have ended or failed. */
  settled: ISession[];

  /** Sessions that have left the list without a known end. */
  vanished: ISession[];
}

/** The key of a session in maps. */
export function keyOf({ backend, id }: ISessionRef): string {
  return `${backend}/${id}`;
}

/** Later than any time: Skaha gives no time for waiting sessions, which are the newest. */
const NOT_YET = '~';

function createdAt({ created_at, status }: ISession): string {
  return created_at ?? (status === 'PENDING' ? NOT_YET : '');
}

function newestFirst(a: ISession, b: ISession): number {
  const [left, right] = [createdAt(a), createdAt(b)];
  return left === right ? a.name.localeCompare(b.name) : left < right ? 1 : -1;
}

/** Whether a known session has failed since. */
function hasFailed(before: ISession | undefined, now: ISession): boolean {
  return !!before && before.status !== 'ERROR' && now.status === 'ERROR';
}

function changedAt(session: ISession): number {
  return Date.parse(session.status_changed ?? '') || 0;
}

/** The live and the ended sessions by backend and id. */
export class SessionStore {
  get size(): number {
    return this._live.size;
  }

  get populated(): string[] {
    return [...this._byBackend().keys()];
  }

  get ended(): readonly ISession[] {
    return this._endedRows;
  }

  live(backend: string): readonly ISession[] {
    return this._byBackend().get(backend) ?? [];
  }

  find(ref: ISessionRef): ISession | undefined {
    const key = keyOf(ref);
    return this._live.get(key) ?? this._ended.get(key);
  }

  /** Apply changes of the server's journal. */
  apply(changes: Change[]): IEffects {
    const effects: IEffects = { settled: [], vanished: [] };
    for (const change of changes) {
      if (change.op === 'put') {
        this._put(change.session, effects);
      } else if (change.op === 'remove') {
        this._remove(change, effects);
      }
    }
    return effects;
  }

  /**
   * Replace all live sessions; those of the backends `unheard`, which did not
   * answer, stay.
   */
  replace(sessions: ISession[], unheard: ReadonlySet<string>): IEffects {
    const before = this._live;
    const listed = sessions.filter(isLive);
    this._live = new Map(listed.map(row => [keyOf(row), row]));
    this._sorted = null;
    listed.forEach(row => this._forgetEnd(keyOf(row)));
    return {
      settled: listed.filter(row => hasFailed(before.get(keyOf(row)), row)),
      vanished: this._carryOver(before, unheard)
    };
  }

  /** Apply the answer to a request, unless a push has brought a later state. */
  offer(session: ISession): IEffects {
    const known = this.find(session);
    if (known && changedAt(known) >= changedAt(session)) {
      return { settled: [], vanished: [] };
    }
    return this.apply([{ op: 'put', session }]);
  }

  /** Add an ended session to those that are kept. */
  keepEnded(session: ISession): void {
    this._ended.set(keyOf(session), session);
    const surplus = this._ended.size - ENDED_KEPT;
    [...this._ended.keys()]
      .slice(0, Math.max(0, surplus))
      .forEach(key => this._ended.delete(key));
    this._endedRows = [...this._ended.values()].reverse();
  }

  /** Keep the sessions of unheard backends, and return the missing ones of others. */
  private _carryOver(
    before: Map<string, ISession>,
    unheard: ReadonlySet<string>
  ): ISession[] {
    const missing = [...before].filter(([key]) => !this._live.has(key));
    missing
      .filter(([, row]) => unheard.has(row.backend))
      .forEach(([key, row]) => this._live.set(key, row));
    return missing
      .map(([, row]) => row)
      .filter(row => !unheard.has(row.backend));
  }

  private _put(session: ISession, effects: IEffects): void {
    const key = keyOf(session);
    const before = this._live.get(key);
    if (!isLive(session)) {
      this._end(session, effects);
      return;
    }
    this._forgetEnd(key);
    this._live.set(key, session);
    this._place(before, session);
    if (session.status === 'ERROR' && before?.status !== 'ERROR') {
      effects.settled.push(session);
    }
  }

  private _end(session: ISession, effects: IEffects): void {
    const key = keyOf(session);
    this._drop(key);
    if (!this._ended.has(key)) {
      effects.settled.push(session);
    }
    this.keepEnded(session);
  }

  private _remove(ref: ISessionRef, effects: IEffects): void {
    const row = this._live.get(keyOf(ref));
    if (row) {
      this._drop(keyOf(ref));
      effects.vanished.push(row);
    }
  }

  private _drop(key: string): void {
    if (this._live.delete(key)) {
      this._sorted = null;
    }
  }

  private _forgetEnd(key: string): void {
    if (this._ended.delete(key)) {
      this._endedRows = [...this._ended.values()].reverse();
    }
  }

  /** Replace a session in the sorted lists without sorting them again. */
  private _place(before: ISession | undefined, session: ISession): void {
    const rows = this._sorted?.get(session.backend);
    const index = before && rows ? rows.indexOf(before) : -1;
    if (!rows || index < 0 || newestFirst(before!, session) !== 0) {
      this._sorted = null;
      return;
    }
    rows[index] = session;
  }

  private _byBackend(): Map<string, ISession[]> {
    this._sorted ??= this._sort();
    return this._sorted;
  }

  private _sort(): Map<string, ISession[]> {
    const sorted = new Map<string, ISession[]>();
    for (const row of this._live.values()) {
      const rows = sorted.get(row.backend) ?? [];
      rows.push(row);
      sorted.set(row.backend, rows);
    }
    sorted.forEach(rows => rows.sort(newestFirst));
    return sorted;
  }

  private _live = new Map<string, ISession>();
  private _ended = new Map<string, ISession>();
  private _endedRows: readonly ISession[] = [];
  private _sorted: Map<string, ISession[]> | null = null;
}
