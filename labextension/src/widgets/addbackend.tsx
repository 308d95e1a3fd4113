import * as React from 'react';

import type { BackendForm } from '../form/backend';
import type { IFieldsProps } from './body';
import { Field, Select, TextInput } from './fields';

const EXAMPLE = 'https://…';

/** The props that all fields of the form have. */
function common(form: BackendForm, name: string) {
  return { name, error: form.errors[name], disabled: form.isBusy };
}

/** The fields of the dialog "Add backend". */
export function BackendFields({
  form,
  trans
}: IFieldsProps<BackendForm>): JSX.Element {
  const types = form.types.map(({ type, title }) => ({
    value: type,
    label: title
  }));
  return (
    <>
      <Field {...common(form, 'type')} label={trans.__('Kind')}>
        {control => (
          <Select
            control={control}
            options={types}
            value={form.type}
            onChange={type => form.setType(type)}
          />
        )}
      </Field>
      <Field {...common(form, 'url')} label={trans.__('Address')}>
        {control => (
          <TextInput
            control={control}
            placeholder={EXAMPLE}
            value={form.url}
            onChange={url => form.setUrl(url)}
          />
        )}
      </Field>
      <Field
        {...common(form, 'name')}
        label={trans.__('Name')}
        note={trans.__('The name in panel and commands')}
      >
        {control => (
          <TextInput
            control={control}
            value={form.name}
            onChange={name => form.setName(name)}
          />
        )}
      </Field>
    </>
  );
}
