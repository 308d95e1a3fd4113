import { type ISignal, Signal } from '@lumino/signaling';

import { type ApiError, asApiError } from '../request';
import { blamed, type FieldErrors, type IForm } from './refusal';

/** A form whose input the server checks; has no DOM. */
export abstract class ServedForm<T> implements IForm<T> {
  errors: FieldErrors = {};
  isBusy = false;

  /** An error that belongs to no field of the form. */
  refusal: ApiError | null = null;

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  async submit(): Promise<T | null> {
    if (this.isBusy) {
      return null;
    }
    this.isBusy = true;
    this.settle();
    try {
      return await this.send();
    } catch (error) {
      this._showError(asApiError(error));
      return null;
    } finally {
      this.isBusy = false;
      this._changed.emit();
    }
  }

  /** The names of the form's fields. */
  protected abstract readonly fields: string[];

  /** Send the request, and return what the server created. */
  protected abstract send(): Promise<T>;

  /** Clear errors after a change; the server checks again. */
  protected settle(): void {
    this.errors = {};
    this.refusal = null;
    this._changed.emit();
  }

  private _showError(error: ApiError): void {
    const served = blamed(error, this.fields);
    this.errors = served ?? {};
    this.refusal = served ? null : error;
  }

  private readonly _changed = new Signal<this, void>(this);
}
