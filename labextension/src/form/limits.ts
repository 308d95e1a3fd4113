import { parseMemory } from '../format';
import type { IBackend } from '../types';

/** What a new session may ask of one slot. */
export interface ILimit {
  slot: string;

  /** The most a session can have; null when the backend does not say. */
  most: number | null;

  /** What is free now; null when the backend does not say. */
  free: number | null;

  /** What the form starts with, as the backend spells it. */
  preset: string;

  /** Whether a rule, not the backend's size, sets `most`. */
  byRule: boolean;
}

function amount(slot: string, text: string | undefined): number | null {
  if (text === undefined) {
    return null;
  }
  const value = slot === 'mem' ? parseMemory(text) : Number(text);
  return Number.isNaN(value) ? null : value;
}

/** The limit of a slot on a backend. */
export function limitOf(backend: IBackend, slot: string): ILimit {
  const capacity = backend.capacity?.[slot];
  const total = amount(slot, capacity?.total);
  const ruled = amount(slot, backend.max_resources?.[slot]);
  const byRule = ruled !== null && (total === null || ruled < total);
  return {
    slot,
    most: byRule ? ruled : total,
    free: amount(slot, capacity?.free),
    preset: backend.default_resources?.[slot] ?? '',
    byRule
  };
}

/** The slots of a backend that are neither CPU nor memory. */
export function acceleratorsOf(backend: IBackend): string[] {
  const slots = { ...backend.capacity, ...backend.default_resources };
  return Object.keys(slots)
    .filter(slot => slot !== 'cpu' && slot !== 'mem')
    .filter(slot => limitOf(backend, slot).most !== 0)
    .sort();
}
