import type { KernelSpec } from '@jupyterlab/services';
import { type ISignal, Signal } from '@lumino/signaling';

import type { SessionsApi } from './api';
import { formatResources } from './format';
import type { IKernel, IKernelsModel } from './tokens';
import type { IKernelRequest } from './types';
import type { ISessionRef, Resources } from './vocabulary';

/** The name of this package's provisioner in kernelspecs. */
const PROVISIONER = 'jupyter-sessions';

interface IMetadata {
  kernel_provisioner?: {
    provisioner_name?: string;
    config?: {
      backend?: string;
      image?: string;
      resources?: Resources;
      session?: string;
    };
  };
  jupyter_sessions?: { ends_with_session?: boolean };
}

/** The kernel on sessions that a kernelspec describes; null for other kinds. */
export function kernelOf(
  spec: KernelSpec.ISpecModel | undefined
): IKernel | null {
  const metadata = (spec?.metadata ?? {}) as unknown as IMetadata;
  const provisioner = metadata.kernel_provisioner;
  if (!spec || provisioner?.provisioner_name !== PROVISIONER) {
    return null;
  }
  return {
    name: spec.name,
    title: spec.display_name,
    ...provisioner.config,
    endsWithSession: metadata.jupyter_sessions?.ends_with_session === true
  };
}

/** The default title of a kernel: `Python 3 · 1 CPU`. */
export function titleFor(image: string, resources?: Resources): string {
  const [base, tag] = (image.split('/').pop() ?? '').split(':');
  const label = base.charAt(0).toUpperCase() + base.slice(1);
  const words = [label.replace(/(?<=[a-z])(?=\d)/, ' '), tag]
    .filter(Boolean)
    .join(' ');
  return [words, formatResources(resources)].filter(Boolean).join(' · ');
}

/** The kernel name for a title: `python-3-1-cpu`. */
export function nameFor(title: string): string {
  return title
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '')
    .slice(0, 100);
}

/** Whether a kernelspec may be one that the server made for a session. */
export function isNameOfSession(name: string): boolean {
  return /^session-.+-/.test(name);
}

/**
 * The session of a kernelspec that the server made, by the kernelspec's name.
 *
 * A notebook keeps the name after the kernelspec is removed.
 */
export function sessionOfName(
  name: string,
  backends: readonly string[]
): ISessionRef | null {
  const found = backends
    .map(backend => ({ backend, prefix: prefixOf(backend) }))
    .filter(({ prefix }) => name.startsWith(prefix))
    .sort((a, b) => b.prefix.length - a.prefix.length);
  const [best] = found;
  return best
    ? { backend: best.backend, id: name.slice(best.prefix.length) }
    : null;
}

function prefixOf(backend: string): string {
  return `session-${backend}-`.toLowerCase().replace(/[^a-z0-9._-]/g, '-');
}

/** The kernels on sessions among the server's kernelspecs; has no DOM. */
export class KernelsModel implements IKernelsModel {
  constructor(
    private readonly _api: SessionsApi,
    private readonly _specs: KernelSpec.IManager
  ) {
    _specs.specsChanged.connect(() => this._changed.emit());
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get saved(): readonly IKernel[] {
    return this._all
      .filter(kernel => !kernel.endsWithSession)
      .sort((a, b) => a.title.localeCompare(b.title));
  }

  async add(request: IKernelRequest): Promise<string> {
    const { name } = await this._api.addKernel(request);
    await this._specs.refreshSpecs();
    return name;
  }

  attach({ backend, id }: ISessionRef): Promise<string> {
    return this.add({ session: `${backend}/${id}` });
  }

  async remove(name: string): Promise<void> {
    await this._api.removeKernel(name);
    await this._specs.refreshSpecs();
  }

  refresh(): Promise<void> {
    return this._specs.refreshSpecs();
  }

  private get _all(): IKernel[] {
    return Object.values(this._specs.specs?.kernelspecs ?? {})
      .map(kernelOf)
      .filter(kernel => kernel !== null);
  }

  private readonly _changed = new Signal<this, void>(this);
}
