import type { TranslationBundle } from '@jupyterlab/translation';

import { formatNeed, formatShare, orderedSlots, parseAmount } from '../format';
import { isWaiting } from '../status';
import type { IBackend, ISession } from '../types';
import { limitOf } from './limits';

type Needs = Record<string, number>;

/** The most sessions that are named as holders of a slot. */
const NAMED = 2;

/** The queue for a slot: its first session, and its length. */
interface IQueue {
  first: ISession;
  length: number;
}

function needsOf({ resources = {} }: ISession): Needs {
  return Object.fromEntries(
    Object.entries(resources).map(([slot, text]) => [
      slot,
      parseAmount(slot, text)
    ])
  );
}

/** Whether a session waits for its start time or a dependency, so that others need not wait for it. */
function isHeld(row: ISession, rows: readonly ISession[]): boolean {
  const { starts_at, dependencies = [] } = row;
  return (
    Date.parse(starts_at ?? '') > Date.now() ||
    rows.some(({ id }) => dependencies.includes(id))
  );
}

/** The slots for which a session would have to wait. */
function lacking(
  backend: IBackend,
  needs: Needs,
  queues: Record<string, IQueue>
): string[] {
  return orderedSlots(backend.capacity ?? {}).filter(slot => {
    const { free } = limitOf(backend, slot);
    return (
      needs[slot] > 0 && (needs[slot] > (free ?? Infinity) || queues[slot])
    );
  });
}

/** The queues for a backend's slots, known only if the backend is first come, first served. */
function queuesOf(
  backend: IBackend,
  rows: readonly ISession[]
): Record<string, IQueue> {
  const queues: Record<string, IQueue> = {};
  const waiting = rows.filter(row => isWaiting(row) && !isHeld(row, rows));
  const age = ({ created_at }: ISession): string => created_at ?? '';
  waiting.sort((a, b) => (age(a) < age(b) ? -1 : 1));
  for (const first of backend.first_come ? waiting : []) {
    for (const slot of lacking(backend, needsOf(first), queues)) {
      queues[slot] ??= { first, length: 0 };
      queues[slot].length++;
    }
  }
  return queues;
}

function quoted(name: string): string {
  return `'${name}'`;
}

function ordinal(place: number, trans: TranslationBundle): string {
  const words = [
    trans.__('Second in the queue.'),
    trans.__('Third in the queue.'),
    trans.__('Fourth in the queue.'),
    trans.__('Fifth in the queue.')
  ];
  return words[place - 2] ?? trans.__('Number %1 in the queue.', place);
}

function behind(
  backend: IBackend,
  slot: string,
  { first, length }: IQueue,
  trans: TranslationBundle
): string {
  const need = formatNeed(slot, needsOf(first)[slot]);
  const free = formatFree(backend, slot);
  const words = trans.__(
    'Will wait behind %1, which needs %2 (%3 free).',
    quoted(first.name),
    need,
    free
  );
  return `${words} ${ordinal(length + 1, trans)}`;
}

function formatFree(backend: IBackend, slot: string): string {
  const free = limitOf(backend, slot).free ?? 0;
  return slot === 'mem' ? formatNeed(slot, free) : `${free}`;
}

/** The sessions that hold a slot, largest amounts first. */
function holders(
  slot: string,
  rows: readonly ISession[],
  trans: TranslationBundle
): string[] {
  const amounts = rows
    .filter(row => !isWaiting(row))
    .map(row => ({ name: row.name, amount: needsOf(row)[slot] ?? 0 }))
    .filter(({ amount }) => amount > 0)
    .sort((a, b) => b.amount - a.amount);
  const named = amounts
    .slice(0, NAMED)
    .map(({ name, amount }) =>
      trans.__(
        '%1 has %2',
        quoted(name),
        slot === 'mem' ? formatNeed(slot, amount) : amount
      )
    );
  const others = amounts.length - named.length;
  return others > 0 ? [...named, trans.__('and %1 more', others)] : named;
}

function shortOf(
  backend: IBackend,
  slot: string,
  rows: readonly ISession[],
  trans: TranslationBundle
): string {
  const share = formatShare(slot, backend.capacity![slot]);
  const free = trans.__('%1 free', share);
  return [free, ...holders(slot, rows, trans)].join(', ');
}

/** What a session with these needs would wait for; '' if there is room. */
export function waitFor(
  backend: IBackend,
  rows: readonly ISession[],
  needs: Needs,
  trans: TranslationBundle
): string {
  const isTooMuch = Object.keys(needs).some(
    slot => needs[slot] > (limitOf(backend, slot).most ?? Infinity)
  );
  const queues = queuesOf(backend, rows);
  const slots = isTooMuch ? [] : lacking(backend, needs, queues);
  if (slots.length === 0) {
    return '';
  }
  const length = (slot: string): number => queues[slot]?.length ?? 0;
  const [longest] = [...slots].sort((a, b) => length(b) - length(a));
  return queues[longest]
    ? behind(backend, longest, queues[longest], trans)
    : trans.__(
        'Will wait: %1.',
        slots.map(slot => shortOf(backend, slot, rows, trans)).join('; ')
      );
}
