import type { ISessionContext } from '@jupyterlab/apputils';
import type { KernelSpec } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import { Signal } from '@lumino/signaling';

import {
  isOver,
  listResources,
  resourcesAgain,
  specAgain,
  wordsForEnd
} from './recreate';
import type { SessionsApi } from './api';
import { isNameOfSession, kernelOf, sessionOfName } from './kernels';
import { asApiError } from './request';
import type { IKernelsModel, ISessionsModel } from './tokens';
import type { ISession } from './types';
import type { ISessionRef } from './vocabulary';
import { wordsFor } from './errormessages';

/** The notice about an ended session, with its remedies. */
export interface INotice {
  message: string;
  remedies: { label: string; act: () => Promise<void> }[];
}

/** What a `SessionWatch` works with; has no DOM. */
export interface IWatchEnv {
  readonly api: SessionsApi;
  readonly model: ISessionsModel;
  readonly kernels: IKernelsModel;
  readonly specs: KernelSpec.IManager;
  readonly trans: TranslationBundle;

  /** Reload the list of the server's kernels. */
  refresh(): Promise<unknown>;

  /** Let the person choose a kernel. */
  choose(context: ISessionContext): Promise<void>;

  /** Show why something could not be done. */
  tell(headline: string, why: string): void;

  /** The folder of a document, below the server's root. */
  folderOf(path: string): string;
}

/** Follows the session of a notebook, and shows a notice when it has ended. */
export class SessionWatch implements IDisposable {
  constructor(
    private readonly _context: ISessionContext,
    private readonly _env: IWatchEnv,
    private readonly _show: (notice: INotice | null) => void
  ) {
    _context.kernelChanged.connect(this._follow, this);
    _context.sessionChanged.connect(this._follow, this);
    _context.statusChanged.connect(this._onTerminating, this);
    _context.kernelPreferenceChanged.connect(this._preventOtherKernel, this);
    _env.model.changed.connect(this._checkSession, this);
    this._follow();
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  dispose(): void {
    this._isDisposed = true;
    Signal.clearData(this);
  }

  private get _specs(): Record<string, KernelSpec.ISpecModel | undefined> {
    return this._env.specs.specs?.kernelspecs ?? {};
  }

  /** Find the current session of the notebook. */
  private _follow(): void {
    const kernel = this._context.session?.kernel;
    if (!kernel) {
      void this._checkEnded();
      return;
    }
    if (kernel.id === this._kernelId) {
      return;
    }
    this._forget();
    [this._kernelId, this._kernelName] = [kernel.id, kernel.name];
    // The kernelspec is removed with the session, and may be gone already
    if (kernelOf(this._specs[kernel.name]) || isNameOfSession(kernel.name)) {
      void this._identify(kernel.id, kernel.name);
    }
  }

  private _forget(): void {
    this._session = null;
    this._hideNotice();
  }

  private async _identify(kernelId: string, name: string): Promise<void> {
    const { api } = this._env;
    const ref =
      (await api.sessionOf(kernelId).catch(() => null)) ??
      (isNameOfSession(name) ? await this._findSession(name) : null);
    if (kernelId === this._kernelId) {
      this._session = ref;
      this._checkSession();
    }
  }

  /** Forget the session if the person shuts down its kernel here. */
  private _onTerminating(_: unknown, status: string): void {
    if (status === 'terminating' && !this._isShown) {
      this._session = null;
    }
  }

  /** Check whether the session ended together with its kernel. */
  private async _checkEnded(): Promise<void> {
    const ref = this._session;
    if (!ref || this._isShown) {
      return;
    }
    const row = await this._env.api.get(ref).catch(() => null);
    if (row && isOver(row) && ref === this._session && !this._isDisposed) {
      this._announce(row);
    }
  }

  /**
   * Keep JupyterLab from starting another kernel for a notebook whose kernelspec
   * was removed with its session.
   *
   * JupyterLab would silently start any kernel of the same language.
   */
  private _preventOtherKernel(): void {
    const { name, shouldStart } = this._context.kernelPreference;
    const isOpen = this._context.session || this._kernelId || this._isShown;
    if (isOpen || shouldStart === false || this._preventedFor === name) {
      return;
    }
    if (name && isNameOfSession(name) && !this._specs[name]) {
      this._preventedFor = name;
      this._preventAutoStart();
      void this._reopen(name);
    }
  }

  /** Show what happened to the session in which a notebook ran when it was saved. */
  private async _reopen(name: string): Promise<void> {
    const { kernels, specs } = this._env;
    await Promise.all([specs.ready, this._context.ready]);
    const ref = this._specs[name] ? null : await this._findSession(name);
    const row = ref && (await this._env.api.get(ref).catch(() => null));
    if (this._isDisposed || this._context.session) {
      return;
    }
    if (this._specs[name] || (row && !isOver(row))) {
      this._hideNotice();
      const kernel = row ? await kernels.attach(row) : name;
      await this._context.changeKernel({ name: kernel });
    } else if (row) {
      this._announce(row);
    } else {
      this._announceUnknown();
    }
  }

  private async _findSession(name: string): Promise<ISessionRef | null> {
    const { model } = this._env;
    if (model.backends.length === 0) {
      await model.loadBackends();
    }
    const backends = model.backends.map(backend => backend.name);
    return sessionOfName(name, backends);
  }

  private _checkSession(): void {
    const row = this._session && this._env.model.find(this._session);
    if (row && !this._isShown && isOver(row)) {
      this._announce(row);
    }
  }

  private _announce(session: ISession): void {
    this._isShown = true;
    this._show({
      message: wordsForEnd(session, this._env.trans),
      remedies: [this._recreateRemedy(session), this._chooseRemedy()]
    });
    this._shutDownKernel();
  }

  private _announceUnknown(): void {
    const { trans } = this._env;
    this._isShown = true;
    this._show({
      message: trans.__('The session of this notebook cannot be found.'),
      remedies: [this._chooseRemedy()]
    });
  }

  private _chooseRemedy(): INotice['remedies'][number] {
    return {
      label: this._env.trans.__('Choose another'),
      act: () => this._env.choose(this._context)
    };
  }

  /**
   * Shut down the dead kernel, which JupyterLab would keep for a while.
   *
   * Code would wait in it for ever. Without a kernel, JupyterLab asks for one,
   * and must not start any kernel of the same language by itself.
   */
  private _shutDownKernel(): void {
    this._preventAutoStart();
    if (this._context.session) {
      // Kernel pickers show a kernel as long as it seems to run
      this._context
        .shutdown()
        .then(() => this._env.refresh())
        .catch(error => {
          console.warn('The kernel of an ended session stays', error);
        });
    }
  }

  private _preventAutoStart(): void {
    this._preference ??= this._context.kernelPreference;
    this._context.kernelPreference = {
      ...this._preference,
      autoStartDefault: false,
      shouldStart: false
    };
  }

  private _hideNotice(): void {
    if (this._isShown) {
      this._isShown = false;
      this._show(null);
    }
    if (this._preference) {
      const { autoStartDefault, shouldStart } = this._preference;
      this._context.kernelPreference = {
        ...this._context.kernelPreference,
        autoStartDefault,
        shouldStart
      };
      this._preference = null;
    }
  }

  private _recreateRemedy(session: ISession): INotice['remedies'][number] {
    const { model, trans } = this._env;
    const resources = resourcesAgain(session, model.backend(session.backend));
    const amounts = listResources(resources);
    return {
      label: amounts
        ? trans.__('Start again with %1', amounts)
        : trans.__('Start again'),
      act: async () => {
        try {
          const name = await this._createKernel(session, resources);
          await this._context.changeKernel({ name });
        } catch (error) {
          const { message, hint } = wordsFor(asApiError(error), trans);
          const why = [message, hint].filter(Boolean).join(' ');
          this._env.tell(trans.__('Cannot start %1 again', session.name), why);
        }
      }
    };
  }

  /** Create a kernel in a session like an ended one, and return its name. */
  private async _createKernel(
    session: ISession,
    resources: ISession['resources'] = {}
  ): Promise<string> {
    const { api, kernels, model } = this._env;
    const own = kernelOf(this._specs[this._kernelName]);
    if (own && !own.session && resources === session.resources) {
      return own.name;
    }
    // Another notebook may have created the session again
    const living = model
      .live(session.backend)
      .find(row => row.name === session.name && !isOver(row));
    if (living) {
      return kernels.attach(living);
    }
    if (model.backends.length === 0) {
      await model.loadBackends();
    }
    const whole = await api.get(session).catch(() => session);
    const folder = this._env.folderOf(this._context.path);
    const backend = model.backend(session.backend);
    const spec = specAgain(whole, resources, folder, backend);
    return kernels.attach(await model.create(spec));
  }

  private _session: ISessionRef | null = null;
  private _kernelName = '';
  private _kernelId: string | undefined;
  private _preventedFor: string | undefined;
  private _isShown = false;
  private _isDisposed = false;
  private _preference: ISessionContext['kernelPreference'] | null = null;
}
