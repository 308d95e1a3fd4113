import type { TranslationBundle } from '@jupyterlab/translation';
import { type ISignal, Signal } from '@lumino/signaling';

import { type ApiError, asApiError } from '../request';
import type { IBackend, ISession, ISessionSpec } from '../types';
import { type FieldErrors, FormChecker } from './check';
import { type IFormValues, initialValues, specOf } from './values';

/** What the form needs of the sessions model. */
export interface ICreator {
  readonly backends: readonly IBackend[];
  readonly defaultBackend: string | null;
  create(spec: ISessionSpec): Promise<ISession>;
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

/** The "New session" form; has no DOM. Sessions begin in the folder `cwd`. */
export class FormModel {
  constructor(
    private readonly _creator: ICreator,
    private readonly _trans: TranslationBundle,
    private readonly _cwd = ''
  ) {
    const { backends, defaultBackend } = _creator;
    this._last = backends.find(b => b.name === defaultBackend) ?? backends[0];
    this._values = initialValues(this._last);
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get backends(): readonly IBackend[] {
    return this._creator.backends;
  }

  /** The selected backend, with what is free as last heard. */
  get backend(): IBackend {
    const { backend } = this._values;
    return this.backends.find(b => b.name === backend) ?? this._last;
  }

  get values(): Readonly<IFormValues> {
    return this._values;
  }

  get isBusy(): boolean {
    return this._isBusy;
  }

  get checker(): FormChecker {
    return new FormChecker(this.backend, this._trans);
  }

  /** A refusal that is about no field of the form. */
  get refusal(): ApiError | null {
    return this._refusal;
  }

  /** What to show as wrong: by the server, or here once a field was used. */
  get errors(): FieldErrors {
    const seen = Object.entries(this.checker.errors(this._values));
    const shown = seen.filter(([field]) => this._touched.has(field));
    return { ...Object.fromEntries(shown), ...this._served };
  }

  /** Fields the form has a place for. */
  get fields(): string[] {
    const slots = Object.keys(this._values.accelerators);
    return ['backend', 'image', 'name', 'cpu', 'mem', ...slots];
  }

  /** Change values; `field` is the one whose server error is thereby over. */
  set(field: string, change: Partial<IFormValues>): void {
    this._values = { ...this._values, ...change };
    delete this._served[field];
    this._touched.add(field);
    this._refusal = null;
    this._changed.emit();
  }

  selectBackend(name: string): void {
    const backend = this.backends.find(b => b.name === name);
    if (backend) {
      this._last = backend;
      this._served = {};
      this._touched.clear();
      this.set('backend', initialValues(backend, this._values.name));
    }
  }

  /** Ask for the session; null when that failed and the form says why. */
  async submit(): Promise<ISession | null> {
    this._served = {};
    this._refusal = null;
    this.fields.forEach(field => this._touched.add(field));
    if (this._isBusy || Object.keys(this.errors).length > 0) {
      this._changed.emit();
      return null;
    }
    this._setBusy(true);
    try {
      return await this._creator.create(specOf(this._values, this._cwd));
    } catch (error) {
      this._blame(asApiError(error));
      return null;
    } finally {
      this._setBusy(false);
    }
  }

  private _blame(error: ApiError): void {
    const field = error.field && fieldName(error.field);
    if (field && this.fields.includes(field)) {
      const message = withoutField(error.message, field);
      const words = [message, error.hint].filter(Boolean);
      this._served = { [field]: words.join(' ') };
    } else {
      this._refusal = error;
    }
  }

  private _setBusy(isBusy: boolean): void {
    this._isBusy = isBusy;
    this._changed.emit();
  }

  private _last: IBackend;
  private _values: IFormValues;
  private _served: FieldErrors = {};
  private readonly _touched = new Set<string>();
  private _refusal: ApiError | null = null;
  private _isBusy = false;
  private readonly _changed = new Signal<this, void>(this);
}
