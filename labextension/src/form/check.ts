import type { TranslationBundle } from '@jupyterlab/translation';

import { formatBytes, formatNeed, formatShare, slotLabel } from '../format';
import type { IBackend, INameRule } from '../types';
import { limitOf } from './limits';
import type { FieldErrors } from './refusal';
import { type IFormValues, memoryBytes } from './values';

/** The title of a backend in a sentence. */
export function titleOf(backend: IBackend): string {
  return backend.title || backend.name;
}

/** Whether a name breaks a rule, whose pattern must match the whole name. */
function breaksRule(name: string, rule: INameRule): boolean {
  try {
    return !new RegExp(`^(?:${rule.pattern})$`, 'u').test(name);
  } catch {
    // A pattern that JavaScript does not support: the server checks the name anyway
    return false;
  }
}

function spell(slot: string, value: number): string {
  return slot === 'mem' ? formatBytes(value) : `${value} ${slotLabel(slot)}`;
}

/** Checks the form for a backend, and returns its messages. */
export class FormChecker {
  constructor(
    private readonly _backend: IBackend,
    private readonly _trans: TranslationBundle
  ) {}

  /** The errors of the values, by field or slot. */
  errors(values: IFormValues): FieldErrors {
    const found: Record<string, string | null> = {
      image: this._image(values.image),
      name: this._name(values.name.trim()),
      cpu: this._positive('cpu', Number(values.cpu || NaN)),
      mem: this._positive('mem', memoryBytes(values))
    };
    for (const [slot, text] of Object.entries(values.accelerators)) {
      found[slot] = this._amount(slot, Number(text || NaN));
    }
    return Object.fromEntries(
      Object.entries(found).filter((entry): entry is [string, string] =>
        Boolean(entry[1])
      )
    );
  }

  /** The note below a slot's field, which tells what is available. */
  note(slot: string, asked: number): string {
    const words = [this._half(slot, asked), this._free(slot, asked)];
    return words.filter(Boolean).join(' ');
  }

  /** A note for the initial amount, which is half of what this machine has. */
  private _half(slot: string, asked: number): string {
    const { most, preset } = limitOf(this._backend, slot);
    return this._backend.on_this_machine &&
      slot === 'cpu' &&
      most !== null &&
      asked === Number(preset) &&
      asked === most / 2
      ? this._trans.__('Half of %1.', formatNeed(slot, most))
      : '';
  }

  private _free(slot: string, asked: number): string {
    const { most, free } = limitOf(this._backend, slot);
    const capacity = this._backend.capacity?.[slot];
    if (free !== null && asked > free && (most === null || asked <= most)) {
      return free > 0
        ? this._trans.__('Only %1 free now.', spell(slot, free))
        : this._trans.__('None free now.');
    }
    if (capacity?.free != null) {
      return this._trans.__('%1 free', formatShare(slot, capacity));
    }
    return most === null ? '' : this._trans.__('At most %1', spell(slot, most));
  }

  private _image(image: string): string | null {
    return image.trim() ? null : this._trans.__('Choose one.');
  }

  private _name(name: string): string | null {
    const rule = this._backend.name_rule;
    return name && rule && breaksRule(name, rule) ? rule.message : null;
  }

  private _positive(slot: string, value: number): string | null {
    return value <= 0
      ? this._trans.__('Must be more than 0.')
      : this._amount(slot, value);
  }

  private _amount(slot: string, value: number): string | null {
    if (Number.isNaN(value) || value < 0) {
      return this._trans.__('Enter a number.');
    }
    const { most } = limitOf(this._backend, slot);
    if (most === null || value <= most) {
      return null;
    }
    const words = [titleOf(this._backend), spell(slot, most)];
    return this._backend.capacity?.[slot]?.most
      ? this._trans.__('A session on %1 can have %2 at most.', ...words)
      : this._trans.__('%1 has %2.', ...words);
  }
}
