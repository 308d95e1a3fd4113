import { Dialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';

import { type ICreator, FormModel } from '../form/model';
import type { ISession } from '../types';
import { FormBody } from './form';

const ACCEPT = 1;

/** A dialog that stays open until the server has taken the request. */
class NewSessionDialog extends Dialog<ISession | null> {
  constructor(
    private readonly _form: FormModel,
    trans: TranslationBundle
  ) {
    const body = new FormBody({ form: _form, trans });
    super({
      title: trans.__('New session'),
      body,
      buttons: [
        Dialog.cancelButton({ label: trans.__('Cancel') }),
        Dialog.okButton({ label: trans.__('Create') })
      ],
      focusNodeSelector: 'select, input'
    });
    this.addClass('jp-Sessions-dialog');
    this._formBody = body;
    _form.changed.connect(this._showBusy, this);
  }

  override resolve(index = ACCEPT): void {
    if (index === ACCEPT) {
      void this._submit();
    } else {
      super.resolve(index);
    }
  }

  private async _submit(): Promise<void> {
    this._formBody.session = await this._form.submit();
    if (this._formBody.session) {
      super.resolve(ACCEPT);
    } else {
      requestAnimationFrame(() => this._focusWrong());
    }
  }

  private _focusWrong(): void {
    const wrong = this.node.querySelector<HTMLElement>(
      '[aria-invalid="true"], .jp-mod-accept'
    );
    wrong?.focus();
  }

  private _showBusy(): void {
    const button = this.node.querySelector<HTMLButtonElement>('.jp-mod-accept');
    if (button) {
      button.disabled = this._form.isBusy;
      button.classList.toggle('jp-mod-busy', this._form.isBusy);
    }
  }

  private readonly _formBody: FormBody;
}

/** Ask for a new session in a folder; null when the person thought better of it. */
export async function askForSession(
  creator: ICreator,
  trans: TranslationBundle,
  cwd: string
): Promise<ISession | null> {
  const form = new FormModel(creator, trans, cwd);
  const result = await new NewSessionDialog(form, trans).launch();
  return result.value;
}
