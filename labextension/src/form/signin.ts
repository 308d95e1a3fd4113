import type { ICredentialField, ISignInMethod, ISignInRequest } from '../types';
import { ServedForm } from './served';

/** The part of the sessions model that the form uses. */
export interface ICredentialsModel {
  signIn(backend: string, given: ISignInRequest): Promise<void>;
}

/** The "Sign in" form of a backend; it holds secrets only while it is open. */
export class SignInForm extends ServedForm<true> {
  constructor(
    private readonly _model: ICredentialsModel,
    private readonly _backend: string,
    readonly methods: readonly ISignInMethod[]
  ) {
    super();
    this.method = methods[0];
  }

  method: ISignInMethod;
  remember = false;

  value(field: ICredentialField): string {
    return this._values[field.name] ?? '';
  }

  selectMethod(name: string): void {
    this.method = this.methods.find(each => each.name === name) ?? this.method;
    this._values = {};
    this.settle();
  }

  set(field: ICredentialField, value: string): void {
    this._values[field.name] = value;
    this.settle();
  }

  setRemember(remember: boolean): void {
    this.remember = remember;
    this.settle();
  }

  /** Clear the typed credentials. */
  clear(): void {
    this._values = {};
  }

  protected get fields(): string[] {
    return this.method.fields.map(field => field.name);
  }

  protected async send(): Promise<true> {
    const given = this.fields.map(name => [name, this._values[name] ?? '']);
    await this._model.signIn(this._backend, {
      method: this.method.name,
      values: Object.fromEntries(given),
      remember: this.remember
    });
    return true;
  }

  private _values: Record<string, string> = {};
}
