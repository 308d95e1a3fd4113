import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { groupsOf, projectsOf, typesOf } from '../form/choices';
import { formatLeft, formatResources } from '../format';
import type { IGroup, ISize } from '../types';
import type { IFormProps } from './body';
import { Field, Select } from './fields';

interface IChoiceProps extends IFormProps {
  field: string;
  label: string;

  /** A selection, rendered only if there are options. */
  options: { value: string; label: string }[];
  value: string;
  note?: string;
  onChange: (value: string) => void;
}

function Choice(props: IChoiceProps): JSX.Element | null {
  const { form, field, label, options, value, note, onChange } = props;
  return options.length === 0 ? null : (
    <Field
      name={field}
      label={label}
      note={note}
      error={form.errors[field]}
      disabled={form.isBusy}
    >
      {control => (
        <Select
          control={control}
          options={options}
          value={value}
          onChange={onChange}
        />
      )}
    </Field>
  );
}

/** The options for names, after the option for none. */
function optionsOf(
  names: string[],
  none: string
): { value: string; label: string }[] {
  const options = names.map(name => ({ value: name, label: name }));
  return names.length > 0 ? [{ value: '', label: none }, ...options] : [];
}

function labelOf(group: IGroup, trans: TranslationBundle): string {
  const { name, longest } = group;
  return longest
    ? trans.__('%1, at most %2', name, formatLeft(1000 * longest, trans))
    : name;
}

/** The field for the type, if the image is for several types. */
export function TypeField(props: IFormProps): JSX.Element | null {
  const { form, trans } = props;
  const types = typesOf(form.backend, form.values.image);
  const options = types.map(type => ({ value: type, label: type }));
  return (
    <Choice
      {...props}
      field="type"
      label={trans.__('Type')}
      options={types.length > 1 ? options : []}
      value={form.values.type}
      onChange={type => form.set('type', { type })}
    />
  );
}

/** The field for a size, which fills in the amounts. */
export function SizeField(props: IFormProps): JSX.Element {
  const { form, trans } = props;
  const { sizes = [] } = form.backend;
  const { size } = form.values;
  const label = ({ name, resources, fits = true }: ISize): string => {
    const amounts = `${name} – ${formatResources(resources)}`;
    return fits ? amounts : trans.__('%1 (no room now)', amounts);
  };
  const named = sizes.map(size => ({ value: size.name, label: label(size) }));
  const own = { value: '', label: trans.__('Custom') };
  return (
    <Choice
      {...props}
      field="size"
      label={trans.__('Size')}
      options={named.length > 0 ? [own, ...named] : []}
      value={size?.name ?? ''}
      note={
        size?.fits === false
          ? trans.__('No room for it now: the session will wait.')
          : ''
      }
      onChange={name => form.selectSize(name)}
    />
  );
}

/** The fields for project and resource group. */
export function PlaceFields(props: IFormProps): JSX.Element {
  const { form, trans } = props;
  const open = trans.__('Automatic');
  const groups = groupsOf(form.backend).map(group => ({
    value: group.name,
    label: labelOf(group, trans)
  }));
  return (
    <>
      <Choice
        {...props}
        field="group"
        label={trans.__('Project')}
        options={optionsOf(projectsOf(form.backend), open)}
        value={form.values.project}
        onChange={project => form.set('group', { project })}
      />
      <Choice
        {...props}
        field="resource_group"
        label={trans.__('Resource group')}
        options={
          groups.length > 0 ? [{ value: '', label: open }, ...groups] : []
        }
        value={form.values.group}
        onChange={group => form.set('resource_group', { group })}
      />
    </>
  );
}
