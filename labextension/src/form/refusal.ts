import type { ISignal } from '@lumino/signaling';

import type { ApiError } from '../request';

/** Messages by field. */
export type FieldErrors = Record<string, string>;

/** A form that is done once the server has taken what it asks for. */
export interface IForm<T> {
  readonly changed: ISignal<IForm<T>, void>;
  readonly isBusy: boolean;

  /** A refusal that is about no field of the form. */
  readonly refusal: ApiError | null;

  /** What the server made; null when it refused and the form says why. */
  submit(): Promise<T | null>;
}

/** The server's `resources.mem` and `mem` are the form's `mem`. */
function fieldName(field: string): string {
  return field.replace(/^resources\./, '');
}

/** What an error says of one of a form's fields; null if it is of none. */
export function blamed(error: ApiError, fields: string[]): FieldErrors | null {
  const field = error.field && fieldName(error.field);
  if (!field || !fields.includes(field)) {
    return null;
  }
  return { [field]: [error.message, error.hint].filter(Boolean).join(' ') };
}
