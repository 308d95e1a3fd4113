import { GIB, MIB, parseMemory } from '../format';
import type { IBackend, ISessionSpec, Resources } from '../types';
import { acceleratorsOf, limitOf } from './limits';

export type MemoryUnit = 'MiB' | 'GiB';

/** What the form holds: numbers are as typed. */
export interface IFormValues {
  backend: string;
  image: string;
  name: string;
  cpu: string;
  memory: string;
  memoryUnit: MemoryUnit;
  accelerators: Record<string, string>;
}

/** Bytes asked for; NaN when nothing sensible is typed. */
export function memoryBytes({ memory, memoryUnit }: IFormValues): number {
  const number = memory.trim() === '' ? NaN : Number(memory);
  return number * (memoryUnit === 'GiB' ? GIB : MIB);
}

function splitMemory(
  preset: string
): Pick<IFormValues, 'memory' | 'memoryUnit'> {
  const bytes = parseMemory(preset) || GIB;
  // A start, not a promise: nobody wants to read 6026 MiB
  return bytes >= GIB
    ? { memory: String(Math.floor((bytes / GIB) * 10) / 10), memoryUnit: 'GiB' }
    : { memory: String(Math.floor(bytes / MIB)), memoryUnit: 'MiB' };
}

/** The form as it opens for a backend. */
export function initialValues(backend: IBackend, name = ''): IFormValues {
  const accelerators: Record<string, string> = {};
  for (const slot of acceleratorsOf(backend)) {
    accelerators[slot] = limitOf(backend, slot).preset || '0';
  }
  return {
    backend: backend.name,
    image: backend.images?.[0]?.name ?? '',
    name,
    cpu: limitOf(backend, 'cpu').preset || '1',
    ...splitMemory(limitOf(backend, 'mem').preset),
    accelerators
  };
}

function memoryText(values: IFormValues): string {
  const bytes = memoryBytes(values);
  return bytes % MIB === 0 ? `${bytes / MIB}m` : String(Math.floor(bytes));
}

function resourcesOf(values: IFormValues): Resources {
  const asked = Object.entries(values.accelerators)
    .map(([slot, text]) => [slot, String(Number(text))])
    .filter(([, text]) => text !== '0');
  return {
    cpu: String(Number(values.cpu)),
    mem: memoryText(values),
    ...Object.fromEntries(asked)
  };
}

/** What is asked of the server: always a new session. */
export function specOf(values: IFormValues, cwd = ''): ISessionSpec {
  const name = values.name.trim();
  return {
    backend: values.backend,
    image: values.image.trim(),
    ...(name ? { name } : {}),
    ...(cwd ? { cwd } : {}),
    resources: resourcesOf(values),
    reuse_if_exists: false
  };
}
