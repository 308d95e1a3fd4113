import type { Dialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget, UseSignal } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { FormModel } from '../form/model';
import type { IForm } from '../form/refusal';
import type { ApiError } from '../request';
import { wordsFor } from '../words';
import { ErrorBox } from './notes';

/** What a form and its fields are drawn with. */
export interface IFieldsProps<F extends IForm<unknown>> {
  form: F;
  trans: TranslationBundle;
}

/** What the form of a session and its fields are drawn with. */
export type IFormProps = IFieldsProps<FormModel>;

/** What the server said that is about no field. */
function Refusal(props: {
  refusal: ApiError | null;
  trans: TranslationBundle;
}): JSX.Element | null {
  const { refusal, trans } = props;
  if (!refusal) {
    return null;
  }
  return <ErrorBox {...wordsFor(refusal, trans)} />;
}

/** The body of a dialog with a form: its fields, and what was refused. */
export class FormBody<F extends IForm<unknown>>
  extends ReactWidget
  implements Dialog.IBodyWidget<void>
{
  constructor(
    private readonly _fields: React.ComponentType<IFieldsProps<F>>,
    private readonly _props: IFieldsProps<F>
  ) {
    super();
  }

  protected override render(): JSX.Element {
    const { form, trans } = this._props;
    const Fields = this._fields;
    return (
      <UseSignal signal={form.changed}>
        {() => (
          <div className="jp-Sessions-form" aria-busy={form.isBusy}>
            <Fields {...this._props} />
            <Refusal refusal={form.refusal} trans={trans} />
          </div>
        )}
      </UseSignal>
    );
  }
}
