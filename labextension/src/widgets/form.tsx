import * as React from 'react';

import { titleOf } from '../form/check';
import type { IFormProps } from './body';
import { PlaceFields, SizeField, TypeField } from './choices';
import { Field, Select, TextInput } from './fields';
import { FolderFields, StorageNote } from './folders';
import { ResourceFields } from './resources';

function BackendField({ form, trans }: IFormProps): JSX.Element | null {
  const { backends, backend, errors, isBusy } = form;
  if (backends.length < 2) {
    return null;
  }
  const options = backends.map(b => ({ value: b.name, label: titleOf(b) }));
  return (
    <Field
      name="backend"
      label={trans.__('Backend')}
      error={errors.backend || (backend.health?.message ?? '')}
      disabled={isBusy}
    >
      {control => (
        <Select
          control={control}
          options={options}
          value={backend.name}
          onChange={name => form.selectBackend(name)}
        />
      )}
    </Field>
  );
}

function ImageField({ form, trans }: IFormProps): JSX.Element {
  const { backend, errors, isBusy, values } = form;
  const { images = [], image_word = 'Image' } = backend;
  const options = images.map(({ name, title }) => ({
    value: name,
    label: title && title !== name ? `${title} – ${name}` : name
  }));
  const onChange = (image: string): void => form.selectImage(image);
  return (
    <Field
      name="image"
      label={trans.__(image_word)}
      error={errors.image}
      disabled={isBusy}
    >
      {control => {
        const props = { control, value: values.image, onChange };
        return options.length > 0 ? (
          <Select {...props} options={options} />
        ) : (
          <TextInput {...props} />
        );
      }}
    </Field>
  );
}

function NameField({ form, trans }: IFormProps): JSX.Element {
  const { errors, isBusy, values } = form;
  return (
    <Field
      name="name"
      label={trans.__('Name')}
      error={errors.name}
      disabled={isBusy}
    >
      {control => (
        <TextInput
          control={control}
          placeholder={trans.__('Optional')}
          value={values.name}
          onChange={name => form.set('name', { name })}
        />
      )}
    </Field>
  );
}

/** Shows what the session would wait for. */
function WaitNote({ form }: IFormProps): JSX.Element {
  return (
    <div className="jp-Sessions-wait" role="status">
      {form.wait}
    </div>
  );
}

/** The fields of the dialog "New session". */
export function SessionFields(props: IFormProps): JSX.Element {
  return (
    <>
      <BackendField {...props} />
      <ImageField {...props} />
      <TypeField {...props} />
      <NameField {...props} />
      <SizeField {...props} />
      <ResourceFields {...props} />
      <PlaceFields {...props} />
      <FolderFields {...props} />
      <StorageNote {...props} />
      <WaitNote {...props} />
    </>
  );
}
