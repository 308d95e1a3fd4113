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

/** A message without the name of the field beside which it stands. */
function withoutField(message: string, field: string): string {
  const rest = message.startsWith(`${field}: `)
    ? message.slice(field.length + 2)
    : message;
  return rest.charAt(0).toUpperCase() + rest.slice(1);
}

/** What an error says of one of a form's fields; null if it is of none. */
export function blamed(error: ApiError, fields: string[]): FieldErrors | null {
  const field = error.field && fieldName(error.field);
  if (!field || !fields.includes(field)) {
    return null;
  }
  const words = [withoutField(error.message, field), error.hint];
  return { [field]: words.filter(Boolean).join(' ') };
}
