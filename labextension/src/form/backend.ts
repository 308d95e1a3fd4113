import type { IBackendType, INewBackend } from '../types';
import { ServedForm } from './served';

/** The part of the sessions model that the form uses. */
export interface IBackendMaker {
  addBackend(wanted: INewBackend): Promise<string>;
}

/** An added backend, and what was found at its address. */
export interface IAddedBackend {
  name: string;
  found: string;
}

/** The default name for a backend: the first part of its host name. */
function nameFor(url: string): string {
  try {
    const { hostname } = new URL(url);
    return /^[\d.]+$|^\[/.test(hostname) ? '' : hostname.split('.')[0];
  } catch {
    return '';
  }
}

/** The "Add backend" form; has no DOM. */
export class BackendForm extends ServedForm<IAddedBackend> {
  constructor(
    private readonly _maker: IBackendMaker,
    readonly types: readonly IBackendType[]
  ) {
    super();
    this.type = types[0]?.type ?? '';
  }

  type: string;
  url = '';
  name = '';

  setType(type: string): void {
    this.type = type;
    this.settle();
  }

  /** The name follows the address until a person changes the name. */
  setUrl(url: string): void {
    if (this.name === nameFor(this.url)) {
      this.name = nameFor(url);
    }
    this.url = url;
    this.settle();
  }

  setName(name: string): void {
    this.name = name;
    this.settle();
  }

  protected readonly fields = ['type', 'url', 'name'];

  protected async send(): Promise<IAddedBackend> {
    const [name, url] = [this.name.trim(), this.url.trim()];
    const wanted = { name, type: this.type, url };
    return { name, found: await this._maker.addBackend(wanted) };
  }
}
