import * as React from 'react';

import type { KernelForm } from '../form/kernel';
import { formatResources } from '../format';
import type { IFieldsProps } from './body';
import { Field, TextInput } from './fields';

type IKernelFormProps = IFieldsProps<KernelForm>;

function TitleField({ form, trans }: IKernelFormProps): JSX.Element {
  return (
    <Field
      name="display_name"
      label={trans.__('Display name')}
      error={form.errors.display_name}
      disabled={form.isBusy}
    >
      {control => (
        <TextInput
          control={control}
          value={form.title}
          onChange={title => form.setTitle(title)}
        />
      )}
    </Field>
  );
}

function NameField({ form, trans }: IKernelFormProps): JSX.Element {
  return (
    <Field
      name="name"
      label={trans.__('Name')}
      note={trans.__('The name in notebooks and commands')}
      error={form.errors.name}
      disabled={form.isBusy}
    >
      {control => (
        <TextInput
          control={control}
          value={form.name}
          onChange={name => form.setName(name)}
        />
      )}
    </Field>
  );
}

/** The fields of the dialog "Save as kernel". */
export function KernelFields(props: IKernelFormProps): JSX.Element {
  const { form, trans } = props;
  const { source, where } = form;
  const { image, resources } = source;
  const parts = [image, formatResources(resources), where];
  return (
    <>
      <div className="jp-Sessions-lead">
        {trans.__(
          'Notebooks with this kernel get a session of their own: %1.',
          parts.filter(Boolean).join(' · ')
        )}
      </div>
      <TitleField {...props} />
      <NameField {...props} />
    </>
  );
}
