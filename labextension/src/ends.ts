import type { IExpiry, ISession } from './types';

/** Minutes before a session's end at which people are warned. */
const SESSION_MARKS = [2, 10];

/** Minutes before credentials expire at which people are warned. */
const ACCESS_MARKS = [60, 3 * 24 * 60];

/** Minutes until an end, rounded up; null if it is far away or unknown. */
function left(at: string | undefined, marks: number[], now: number) {
  const minutes = (Date.parse(at ?? '') - now) / 60000;
  const isNear = minutes > 0 && minutes <= Math.max(...marks);
  return isNear ? Math.ceil(minutes) : null;
}

/** Whether credentials have expired or expire so soon that people are warned. */
export function isExpiring(at: string, now: number): boolean {
  return Date.parse(at) <= now || left(at, ACCESS_MARKS, now) !== null;
}

/** An end to warn of: its key and its time. */
interface IEnd {
  key: string;
  at: string | undefined;
}

/** Remembers which warnings were given; each is given once per mark. */
export class Warnings<T> {
  constructor(
    private readonly _marks: number[],
    private readonly _endOf: (item: T) => IEnd,
    given: Iterable<[string, number]> = []
  ) {
    this._given = new Map(given);
  }

  /** The last mark of a warning by key, in minutes. */
  get given(): Record<string, number> {
    return Object.fromEntries(this._given);
  }

  /** The items that were near their end at the last check. */
  get near(): readonly T[] {
    return this._near;
  }

  /** The items that have come near their end since the last check. */
  due(items: readonly T[], now: number): T[] {
    const near = new Map<string, number>();
    this._near = [];
    const found = items.filter(item => {
      const { key, at } = this._endOf(item);
      const minutes = left(at, this._marks, now);
      if (minutes === null) {
        return false;
      }
      const mark = this._marks.find(each => minutes <= each) ?? this._marks[0];
      near.set(key, mark);
      this._near.push(item);
      return mark < (this._given.get(key) ?? Infinity);
    });
    // After a renewal or use, warnings start over
    this._given = near;
    return found;
  }

  private _given: Map<string, number>;
  private _near: T[] = [];
}

/** Warnings of sessions that end soon. */
export function sessionWarnings(): Warnings<ISession> {
  return new Warnings(SESSION_MARKS, ({ backend, id, ends_at }) => ({
    key: `${backend}/${id}`,
    at: ends_at
  }));
}

/** Warnings of credentials that expire soon, by backend; `given` are those of earlier visits. */
export function accessWarnings(
  given: Iterable<[string, number]> = []
): Warnings<[string, IExpiry]> {
  const endOf = ([name, { at }]: [string, IExpiry]): IEnd => ({
    key: `${name} ${at}`,
    at
  });
  return new Warnings(ACCESS_MARKS, endOf, given);
}
