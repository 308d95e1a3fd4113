import { nameFor, titleFor } from '../kernels';
import type { IKernelRequest } from '../types';
import type { Resources } from '../vocabulary';
import { ServedForm } from './served';

/** The backend, image and resources of a kernel's sessions. */
export interface IKernelSource {
  backend?: string;
  image?: string;
  resources?: Resources;
}

/** The part of the kernels model that the form uses. */
export interface IKernelMaker {
  add(request: IKernelRequest): Promise<string>;
}

/** The "Save as kernel" form, whose result is the kernel's name; has no DOM. */
export class KernelForm extends ServedForm<string> {
  constructor(
    private readonly _maker: IKernelMaker,
    readonly source: IKernelSource,

    /** The title of the backend. */
    readonly where = ''
  ) {
    super();
    this.title = titleFor(source.image ?? '', source.resources);
    this.name = nameFor(this.title);
  }

  title: string;
  name: string;

  /** The name follows the title until a person changes the name. */
  setTitle(title: string): void {
    if (this.name === nameFor(this.title)) {
      this.name = nameFor(title);
    }
    this.title = title;
    this.settle();
  }

  setName(name: string): void {
    this.name = name;
    this.settle();
  }

  protected readonly fields = ['name', 'display_name'];

  protected send(): Promise<string> {
    return this._maker.add({
      ...this.source,
      name: this.name.trim(),
      display_name: this.title.trim()
    });
  }
}
