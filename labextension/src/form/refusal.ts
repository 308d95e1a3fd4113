import type { ISignal } from '@lumino/signaling';

import type { ApiError } from '../request';

/** Messages by field. */
export type FieldErrors = Record<string, string>;

/** A form that is done once the server has accepted its request. */
export interface IForm<T> {
  readonly changed: ISignal<IForm<T>, void>;
  readonly isBusy: boolean;

  /** An error that belongs to no field of the form. */
  readonly refusal: ApiError | null;

  /** Send the form, and return the result; null after a failure, with the error in the form. */
  submit(): Promise<T | null>;
}

/** The server's `resources.mem` and `mem` are the form's `mem`. */
function fieldName(field: string): string {
  return field.replace(/^resources\./, '');
}

/** The messages of an error by field; null if it belongs to no field of the form. */
export function blamed(error: ApiError, fields: string[]): FieldErrors | null {
  const field = error.field && fieldName(error.field);
  if (!field || !fields.includes(field)) {
    return null;
  }
  return { [field]: [error.message, error.hint].filter(Boolean).join(' ') };
}
