import type { TranslationBundle } from '@jupyterlab/translation';

import type { IAmount } from './types';
import type { Resources } from './vocabulary';

const SUFFIXES = ['', 'k', 'm', 'g', 't', 'p'];
const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

export const MIB = 1024 ** 2;
export const GIB = 1024 ** 3;

/** Bytes of a memory amount such as `512m`, `23g` or `1073741824`. */
export function parseMemory(text: string): number {
  const match = /^\s*([\d.]+)\s*([kmgtp]?)(i?b)?\s*$/i.exec(text);
  if (!match) {
    return NaN;
  }
  return Number(match[1]) * 1024 ** SUFFIXES.indexOf(match[2].toLowerCase());
}

function trim(value: number): string {
  return String(Math.round(value * 10) / 10);
}

function unitOf(bytes: number): number {
  let unit = 0;
  // 1023.96 would be rounded to 1024
  while (bytes >= 1023.95 && unit < UNITS.length - 1) {
    bytes /= 1024;
    unit++;
  }
  return unit;
}

/** `536870912` as `512 MiB`. */
export function formatBytes(bytes: number): string {
  const unit = unitOf(bytes);
  return `${trim(bytes / 1024 ** unit)} ${UNITS[unit]}`;
}

/** The word for a slot: `GPU` for `cuda.device`. */
export function slotLabel(slot: string): string {
  const family = slot.split('.')[0];
  if (slot === 'mem') {
    return 'memory';
  }
  return family === 'cuda' || family === 'rocm' ? 'GPU' : family.toUpperCase();
}

/** Slots in the order people expect: CPU, memory, accelerators. */
export function orderedSlots(slots: object): string[] {
  const others = Object.keys(slots).filter(s => s !== 'cpu' && s !== 'mem');
  return ['cpu', 'mem', ...others.sort()].filter(slot => slot in slots);
}

function formatAmount(slot: string, amount: string): string {
  if (slot !== 'mem') {
    return `${amount} ${slotLabel(slot)}`;
  }
  const bytes = parseMemory(amount);
  return Number.isNaN(bytes) ? amount : formatBytes(bytes);
}

/** An amount in a sentence: `2 CPUs`, `512 MiB`, `1 GPU`. */
export function formatNeed(slot: string, amount: number): string {
  if (slot === 'mem') {
    return formatBytes(amount);
  }
  return `${amount} ${slotLabel(slot)}${amount > 1 ? 's' : ''}`;
}

/** An amount as a number, memory in bytes; NaN if it is not valid. */
export function parseAmount(slot: string, text: string): number {
  return slot === 'mem' ? parseMemory(text) : Number(text);
}

/** `1 CPU · 512 MiB · 1 GPU`, without slots of amount 0. */
export function formatResources(resources: Resources = {}): string {
  return orderedSlots(resources)
    .filter(slot => Number(resources[slot]) !== 0)
    .map(slot => formatAmount(slot, resources[slot]))
    .join(' · ');
}

/** `20.1 of 22 GiB`. */
export function formatShare(slot: string, { total, free }: IAmount): string {
  if (slot !== 'mem') {
    return `${free} of ${total} ${slotLabel(slot)}`;
  }
  const [left, all] = [parseMemory(free), parseMemory(total)];
  if (Number.isNaN(left + all)) {
    return formatAmount(slot, total);
  }
  const unit = unitOf(all);
  // In TiB, 700 GiB would become an imprecise 0.7
  return unitOf(left) < unit && left > 0
    ? `${formatBytes(left)} of ${formatBytes(all)}`
    : `${trim(left / 1024 ** unit)} of ${formatBytes(all)}`;
}

/** `2 of 2 CPU`, `20.1 of 22 GiB`, `1 of 2 GPU`: one part for each slot. */
export function capacityParts(
  capacity: Record<string, IAmount> | null | undefined
): string[] {
  const slots = capacity ? orderedSlots(capacity) : [];
  return slots
    .filter(slot => Number(capacity![slot].total) !== 0)
    .map(slot => formatShare(slot, capacity![slot]));
}

/**
 * An image without its registry and project, which are often the same for all
 * images and take up the room; a path is kept as it is.
 */
export function imageLabel(image: string): string {
  return image.startsWith('/') ? image : image.split('/').pop()!;
}

/** Words with a capital first letter. */
export function capitalized(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** The cell magic that runs a cell in a session. */
export function magicFor(reference: string): string {
  return `%%session ${reference}`;
}

/** A span of milliseconds in its largest unit, rounded up: `3 days`. */
export function formatLeft(ms: number, trans: TranslationBundle): string {
  const minutes = Math.max(1, Math.ceil(ms / 60000));
  if (minutes > 24 * 60) {
    return trans.__('%1 days', Math.ceil(minutes / 1440));
  }
  return minutes > 60
    ? trans.__('%1 hours', Math.ceil(minutes / 60))
    : trans.__('%1 min', minutes);
}
