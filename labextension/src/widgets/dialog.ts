import { Dialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';

import {
  BackendForm,
  type IAddedBackend,
  type IBackendMaker
} from '../form/backend';
import {
  KernelForm,
  type IKernelMaker,
  type IKernelSource
} from '../form/kernel';
import { type ICreator, FormModel } from '../form/model';
import type { IForm } from '../form/refusal';
import { type ICredentialsModel, SignInForm } from '../form/signin';
import type { IBackend, IBackendType, ISession } from '../types';
import { BackendFields } from './addbackend';
import { FormBody } from './body';
import { SessionFields } from './form';
import { KernelFields } from './kernelform';
import { SignInFields } from './signin';

interface IFormDialogOptions<T> {
  title: string;
  form: IForm<T>;
  body: Dialog.IBodyWidget<unknown>;
  take: (made: T) => void;

  /** The buttons; the last one submits, the first one cancels. */
  buttons: Dialog.IButton[];
}

/** A dialog that stays open until the server has accepted the request. */
class FormDialog<T> extends Dialog<unknown> {
  constructor(private readonly _options: IFormDialogOptions<T>) {
    const { title, form, body } = _options;
    const [cancel, ...others] = _options.buttons;
    const buttons = [cancel, ...others.map(disabledWhileBusy)];
    super({ title, body, buttons, focusNodeSelector: 'select, input' });
    this.addClass('jp-Sessions-dialog');
    this.node.setAttribute('aria-label', title);
    this._accept = buttons.length - 1;
    form.changed.connect(this._showBusy, this);
  }

  override resolve(index = this._accept): void {
    if (index === this._accept) {
      void this._submit();
    } else {
      super.resolve(index);
    }
  }

  private async _submit(): Promise<void> {
    const made = await this._options.form.submit();
    if (made !== null) {
      this._options.take(made);
      super.resolve(this._accept);
    } else {
      this.focusWrong();
    }
  }

  /** Focus the first error after it is rendered. */
  protected focusWrong(): void {
    const find = (selector: string): HTMLElement | null =>
      this.node.querySelector<HTMLElement>(selector);
    const focus = (): void => {
      find(
        '[aria-invalid="true"], input[type="password"], .jp-mod-accept'
      )?.focus();
      // An error without a field stands at the end, which may be scrolled out of view
      find('.jp-Sessions-error')?.scrollIntoView({ block: 'nearest' });
    };
    // React may render after the first frame
    requestAnimationFrame(() => requestAnimationFrame(focus));
  }

  private _showBusy(): void {
    const { isBusy } = this._options.form;
    this.node
      .querySelectorAll<HTMLButtonElement>('.jp-Sessions-act')
      .forEach(button => (button.disabled = isBusy));
    this.node
      .querySelector('.jp-mod-accept')
      ?.classList.toggle('jp-mod-busy', isBusy);
  }

  private readonly _accept: number;
}

/** The result of the dialog: the created session, or a kernel to save. */
export interface INewSessionResult {
  session: ISession | null;
  kernel: IKernelSource | null;
}

/** The index of the button "Save as kernel" in the dialog "New session". */
const SAVE = 1;

/** The dialog "New session", which can also save its values as a kernel. */
class NewSessionDialog extends FormDialog<ISession> {
  constructor(
    private readonly _model: FormModel,
    private readonly _result: INewSessionResult,
    trans: TranslationBundle
  ) {
    super({
      title: trans.__('New session'),
      form: _model,
      take: session => (_result.session = session),
      body: new FormBody(SessionFields, { form: _model, trans }),
      buttons: [
        Dialog.cancelButton({ label: trans.__('Cancel') }),
        Dialog.createButton({
          label: trans.__('Save as kernel…'),
          caption: trans.__(
            'Add a kernel to the launcher and the kernel picker'
          ),
          accept: false
        }),
        Dialog.okButton({ label: trans.__('Create') })
      ]
    });
  }

  override resolve(index?: number): void {
    if (index === SAVE) {
      this._save();
    } else {
      super.resolve(index);
    }
  }

  private _save(): void {
    const kernel = this._model.kernel();
    if (kernel) {
      this._result.kernel = kernel;
      super.resolve(SAVE);
    } else {
      this.focusWrong();
    }
  }
}

function disabledWhileBusy(button: Dialog.IButton): Dialog.IButton {
  return { ...button, className: 'jp-Sessions-act' };
}

/** Ask for a new session in a folder. */
export async function askForSession(
  creator: ICreator,
  trans: TranslationBundle,
  cwd: string
): Promise<INewSessionResult> {
  const form = new FormModel(creator, trans, cwd);
  const asked = { session: null, kernel: null };
  const dialog = new NewSessionDialog(form, asked, trans);
  await dialog.launch();
  dialog.dispose();
  return asked;
}

/** Show a form with one button beside "Cancel". Return its result, or null after a cancel. */
async function askWith<T>(
  title: string,
  yes: string,
  form: IForm<T>,
  body: Dialog.IBodyWidget<unknown>,
  trans: TranslationBundle
): Promise<T | null> {
  let made: T | null = null;
  const cancel = Dialog.cancelButton({ label: trans.__('Cancel') });
  await new FormDialog({
    title,
    form,
    take: taken => (made = taken),
    body,
    buttons: [cancel, Dialog.okButton({ label: yes })]
  }).launch();
  return made;
}

/** Ask for a kernel, create it, and return its name. */
export function askForKernel(
  maker: IKernelMaker,
  trans: TranslationBundle,
  source: IKernelSource,
  where: string
): Promise<string | null> {
  const form = new KernelForm(maker, source, where);
  const body = new FormBody(KernelFields, { form, trans });
  const title = trans.__('Save as kernel');
  return askWith(title, trans.__('Save'), form, body, trans);
}

/** Ask for a backend and add it. */
export function askForBackend(
  maker: IBackendMaker,
  trans: TranslationBundle,
  types: readonly IBackendType[]
): Promise<IAddedBackend | null> {
  const form = new BackendForm(maker, types);
  const body = new FormBody(BackendFields, { form, trans });
  const title = trans.__('Add backend');
  return askWith(title, trans.__('Add'), form, body, trans);
}

/** Ask for credentials and sign in to a backend. Return whether that succeeded. */
export async function askToSignIn(
  model: ICredentialsModel,
  trans: TranslationBundle,
  backend: IBackend
): Promise<boolean> {
  const methods = backend.sign_in?.methods ?? [];
  const form = new SignInForm(model, backend.name, methods);
  const body = new FormBody(SignInFields, { form, trans });
  const title = trans.__('Sign in to %1', backend.title || backend.name);
  const done = await askWith(title, trans.__('Sign in'), form, body, trans);
  form.clear();
  return done !== null;
}
