import { GIB, MIB, parseMemory } from '../format';
import type { IBackend, ISessionSpec, ISize } from '../types';
import type { Resources } from '../vocabulary';
import { chosen, type IChoices, NO_CHOICES, typesOf } from './choices';
import { acceleratorsOf, limitOf } from './limits';

export type MemoryUnit = 'MiB' | 'GiB';

/** The amounts as typed. */
export interface IAmounts {
  cpu: string;
  memory: string;
  memoryUnit: MemoryUnit;
  accelerators: Record<string, string>;
}

/** The values of the form. */
export interface IFormValues extends IAmounts, IChoices {
  backend: string;
  image: string;
  name: string;
}

/** The memory in bytes; NaN if the input is not valid. */
export function memoryBytes({ memory, memoryUnit }: IAmounts): number {
  const number = memory.trim() === '' ? NaN : Number(memory);
  return number * (memoryUnit === 'GiB' ? GIB : MIB);
}

type IMemory = Pick<IAmounts, 'memory' | 'memoryUnit'>;

function splitMemory(preset: string): IMemory {
  const bytes = parseMemory(preset) || GIB;
  // A start, not a promise: nobody wants to read 6026 MiB
  return bytes >= GIB
    ? { memory: String(Math.floor((bytes / GIB) * 10) / 10), memoryUnit: 'GiB' }
    : { memory: String(Math.floor(bytes / MIB)), memoryUnit: 'MiB' };
}

function exactMemory(text: string): IMemory {
  const bytes = parseMemory(text);
  return bytes % GIB === 0
    ? { memory: String(bytes / GIB), memoryUnit: 'GiB' }
    : { memory: String(bytes / MIB), memoryUnit: 'MiB' };
}

/** The default image, as in the magics: Python, otherwise the first image. */
function usualImage({ images = [] }: IBackend): string {
  const python = images.find(({ name }) => name === 'python3');
  return (python ?? images[0])?.name ?? '';
}

/** The initial values for a backend. */
export function initialValues(backend: IBackend, name = ''): IFormValues {
  const accelerators: Record<string, string> = {};
  for (const slot of acceleratorsOf(backend)) {
    accelerators[slot] = limitOf(backend, slot).preset || '0';
  }
  const image = usualImage(backend);
  return {
    backend: backend.name,
    image,
    name,
    cpu: limitOf(backend, 'cpu').preset || '1',
    ...splitMemory(limitOf(backend, 'mem').preset),
    accelerators,
    ...NO_CHOICES,
    type: typesOf(backend, image)[0] ?? ''
  };
}

/** The amounts of a size for a backend; a size may have no CPU or memory. */
export function amountsOf(size: ISize, backend: IBackend): Partial<IAmounts> {
  const { cpu, mem, ...others } = size.resources;
  const none = acceleratorsOf(backend).map(slot => [slot, '0']);
  return {
    ...(cpu ? { cpu } : {}),
    ...(mem ? exactMemory(mem) : {}),
    accelerators: { ...Object.fromEntries(none), ...others }
  };
}

function memoryText(values: IAmounts): string {
  const bytes = memoryBytes(values);
  return bytes % MIB === 0 ? `${bytes / MIB}m` : String(Math.floor(bytes));
}

function resourcesOf(values: IAmounts): Resources {
  const asked = Object.entries(values.accelerators)
    .map(([slot, text]) => [slot, String(Number(text))])
    .filter(([, text]) => text !== '0');
  return {
    cpu: String(Number(values.cpu)),
    mem: memoryText(values),
    ...Object.fromEntries(asked)
  };
}

/** The typed amounts as numbers by slot, memory in bytes. */
export function neededBy(values: IAmounts): Record<string, number> {
  const { cpu, accelerators } = values;
  const others = Object.entries(accelerators);
  return {
    cpu: Number(cpu),
    mem: memoryBytes(values),
    ...Object.fromEntries(others.map(([slot, text]) => [slot, Number(text)]))
  };
}

/** A spec with the form's own fields. */
export interface IFilledSpec extends ISessionSpec {
  backend: string;
  image: string;
  resources: Resources;
}

/** The spec to send to the server, always for a new session. */
export function specOf(values: IFormValues, cwd = ''): IFilledSpec {
  const name = values.name.trim();
  return {
    backend: values.backend,
    image: values.image.trim(),
    ...(name ? { name } : {}),
    ...(cwd ? { cwd } : {}),
    ...chosen(values),
    resources: resourcesOf(values),
    reuse_if_exists: false
  };
}
