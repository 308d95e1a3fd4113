import type { TranslationBundle } from '@jupyterlab/translation';
import { type ISignal, Signal } from '@lumino/signaling';

import { ApiError, asApiError, NO_REQUEST } from '../request';
import type { IBackend, ISession, ISessionSpec } from '../types';
import { FormChecker } from './check';
import { exceedsKernel, offered, typesOf } from './choices';
import type { IKernelSource } from './kernel';
import { inGroup } from './limits';
import { blamed, type FieldErrors, type IForm } from './refusal';
import {
  amountsOf,
  type IAmounts,
  type IFilledSpec,
  type IFormValues,
  initialValues,
  neededBy,
  specOf
} from './values';
import { waitFor } from './wait';

/** The part of the sessions model that the form uses. */
export interface ICreator {
  readonly backends: readonly IBackend[];
  readonly defaultBackend: string | null;

  /** The live sessions of a backend. */
  live(backend: string): readonly ISession[];

  create(spec: ISessionSpec): Promise<ISession>;
}

/** The "New session" form; has no DOM. Sessions start in the folder `cwd`. */
export class FormModel implements IForm<ISession> {
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

  /** The selected backend, with its latest free capacity. */
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
    return new FormChecker(this._limited, this._trans);
  }

  /** What the session would wait for; '' if there is room now or it is unknown. */
  get wait(): string {
    const rows = this._creator.live(this.backend.name);
    return waitFor(this._limited, rows, neededBy(this._values), this._trans);
  }

  private get _limited(): IBackend {
    return inGroup(this.backend, this._values.group);
  }

  /** An error that belongs to no field of the form. */
  get refusal(): ApiError | null {
    return this._refusal;
  }

  /** The errors to show: of the server, and of used fields. */
  get errors(): FieldErrors {
    const seen = Object.entries(this.checker.errors(this._values));
    const shown = seen.filter(([field]) => this._touched.has(field));
    return { ...Object.fromEntries(shown), ...this._served };
  }

  /** The names of the form's fields. */
  get fields(): string[] {
    const choices = offered(this.backend, this._values.image);
    return ['backend', 'image', 'name', ...this._slots, ...choices];
  }

  /** Change values, and clear the server's error for `field`. */
  set(field: string, change: Partial<IFormValues>): void {
    this._values = { ...this._values, ...change };
    delete this._served[field];
    this._touched.add(field);
    this._refusal = null;
    this._changed.emit();
  }

  /** Change an amount, and clear the size. */
  setAmount(slot: string, change: Partial<IAmounts>): void {
    this.set(slot, { ...change, size: null });
  }

  /** Set the amounts of a size; '' keeps the amounts as custom ones. */
  selectSize(name: string): void {
    const size = this.backend.sizes?.find(s => s.name === name) ?? null;
    const amounts = size ? amountsOf(size, this.backend) : {};
    this._slots.forEach(slot => delete this._served[slot]);
    this._slots.forEach(slot => this._touched.add(slot));
    this.set('size', { ...amounts, size });
  }

  selectImage(image: string): void {
    const [type = ''] = typesOf(this.backend, image);
    this.set('image', { image, type });
  }

  /** Select or deselect a folder. */
  mount(name: string, isWanted: boolean): void {
    const others = this._values.folders.filter(folder => folder !== name);
    const folders = isWanted ? [...others, name] : others;
    this.set('mounts', { folders });
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

  /** Create the session; null if that failed, with the error in the form. */
  async submit(): Promise<ISession | null> {
    const spec = this.spec();
    if (this._isBusy || !spec) {
      return null;
    }
    this._setBusy(true);
    try {
      return await this._creator.create(spec);
    } catch (error) {
      this._showError(asApiError(error));
      return null;
    } finally {
      this._setBusy(false);
    }
  }

  /** The spec for the form's values; null if they have errors, which the form shows. */
  spec(): IFilledSpec | null {
    this._served = {};
    this._refusal = null;
    this.fields.forEach(field => this._touched.add(field));
    this._changed.emit();
    return Object.keys(this.errors).length > 0
      ? null
      : specOf(this._values, this._cwd);
  }

  /** The source of a kernel for the form's values; null if there can be none, with the error in the form. */
  kernel(): IKernelSource | null {
    const spec = this.spec();
    if (spec && exceedsKernel(this._values)) {
      this._refusal = new ApiError(
        this._trans.__(
          'A kernel keeps no folders, project, resource group or shared memory.'
        ),
        NO_REQUEST,
        this._trans.__('Leave these out, or create a session.')
      );
      this._changed.emit();
      return null;
    }
    if (!spec) {
      return null;
    }
    const { backend, image, resources } = spec;
    return { backend, image, resources };
  }

  private get _slots(): string[] {
    return ['cpu', 'mem', ...Object.keys(this._values.accelerators)];
  }

  private _showError(error: ApiError): void {
    const served = blamed(error, this.fields);
    this._served = served ?? {};
    this._refusal = served ? null : error;
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
