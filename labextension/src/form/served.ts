import { type ISignal, Signal } from '@lumino/signaling';

import { type ApiError, asApiError } from '../request';
import { blamed, type FieldErrors, type IForm } from './refusal';

/** A form whose input the server checks; has no DOM. */
export abstract class ServedForm<T> implements IForm<T> {
  errors: FieldErrors = {};
  isBusy = false;

  /** A refusal that is about no field of the form. */
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
      this._blame(asApiError(error));
      return null;
    } finally {
      this.isBusy = false;
      this._changed.emit();
    }
  }

  /** The fields that the form has a place for. */
  protected abstract readonly fields: string[];

  /** Ask the server; what it made. */
  protected abstract send(): Promise<T>;

  /** What was wrong is over; the server says whether it still is. */
  protected settle(): void {
    this.errors = {};
    this.refusal = null;
    this._changed.emit();
  }

  private _blame(error: ApiError): void {
    const served = blamed(error, this.fields);
    this.errors = served ?? {};
    this.refusal = served ? null : error;
  }

  private readonly _changed = new Signal<this, void>(this);
}
