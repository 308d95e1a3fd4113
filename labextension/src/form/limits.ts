import { parseAmount } from '../format';
import type { IBackend } from '../types';

/** The amounts of a slot for a new session. */
export interface ILimit {
  slot: string;

  /** The most for one session; null if unknown. */
  most: number | null;

  /** The free amount; null if unknown. */
  free: number | null;

  /** The initial amount of the form, in the backend's form. */
  preset: string;
}

function amount(slot: string, text: string | undefined): number | null {
  if (text === undefined) {
    return null;
  }
  const value = parseAmount(slot, text);
  return Number.isNaN(value) ? null : value;
}

/** The limit of a slot on a backend. */
export function limitOf(backend: IBackend, slot: string): ILimit {
  const capacity = backend.capacity?.[slot];
  const presets = backend.suggested_resources ?? backend.default_resources;
  return {
    slot,
    most: amount(slot, capacity?.most ?? capacity?.total),
    free: amount(slot, capacity?.free),
    preset: presets?.[slot] ?? ''
  };
}

/** A backend with the limits of one of its resource groups. */
export function inGroup(backend: IBackend, name: string): IBackend {
  const group = backend.groups?.find(group => group.name === name);
  if (!group?.most) {
    return backend;
  }
  const capacity = Object.entries(backend.capacity ?? {}).map(
    ([slot, amount]) => {
      const most = group.most?.[slot] ?? amount.most;
      return [slot, { ...amount, ...(most && { most }) }];
    }
  );
  return { ...backend, capacity: Object.fromEntries(capacity) };
}

/** The slots of a backend that are neither CPU nor memory. */
export function acceleratorsOf(backend: IBackend): string[] {
  const slots = { ...backend.capacity, ...backend.default_resources };
  return Object.keys(slots)
    .filter(slot => slot !== 'cpu' && slot !== 'mem')
    .filter(slot => limitOf(backend, slot).most !== 0)
    .sort();
}
