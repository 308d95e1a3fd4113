import * as React from 'react';

import { titleOf } from '../form/check';
import { type MemoryUnit, memoryBytes } from '../form/values';
import { slotLabel } from '../format';
import type { IFormProps } from './body';
import { Field, NumberInput, Select } from './fields';

const UNITS = ['MiB', 'GiB'].map(unit => ({ value: unit, label: unit }));

function CpuField({ form, trans }: IFormProps): JSX.Element {
  const { checker, errors, isBusy, values } = form;
  return (
    <Field
      name="cpu"
      label={trans.__('CPU')}
      note={checker.note('cpu', Number(values.cpu))}
      error={errors.cpu}
      disabled={isBusy}
    >
      {control => (
        <NumberInput
          control={control}
          value={values.cpu}
          onChange={cpu => form.setAmount('cpu', { cpu })}
        />
      )}
    </Field>
  );
}

function MemoryField({ form, trans }: IFormProps): JSX.Element {
  const { checker, errors, isBusy, values } = form;
  return (
    <Field
      name="mem"
      label={trans.__('Memory')}
      note={checker.note('mem', memoryBytes(values))}
      error={errors.mem}
      disabled={isBusy}
    >
      {control => (
        <>
          <NumberInput
            control={control}
            value={values.memory}
            onChange={memory => form.setAmount('mem', { memory })}
          />
          <Select
            control={{
              ...control,
              id: `${control.id}-unit`,
              name: 'unit',
              'aria-label': trans.__('Memory unit')
            }}
            options={UNITS}
            value={values.memoryUnit}
            onChange={unit =>
              form.setAmount('mem', { memoryUnit: unit as MemoryUnit })
            }
          />
        </>
      )}
    </Field>
  );
}

function AcceleratorField(props: IFormProps & { slot: string }): JSX.Element {
  const { form, slot } = props;
  const { checker, errors, isBusy, values } = form;
  const { accelerators } = values;
  const isOnly = Object.keys(accelerators).length === 1;
  return (
    <Field
      name={slot}
      label={isOnly ? slotLabel(slot) : `${slotLabel(slot)} (${slot})`}
      note={checker.note(slot, Number(accelerators[slot]))}
      error={errors[slot]}
      disabled={isBusy}
    >
      {control => (
        <NumberInput
          control={control}
          value={accelerators[slot]}
          onChange={text =>
            form.setAmount(slot, {
              accelerators: { ...accelerators, [slot]: text }
            })
          }
        />
      )}
    </Field>
  );
}

function NoAccelerator({ form, trans }: IFormProps): JSX.Element {
  const title = titleOf(form.backend);
  const isKnown = Object.keys(form.backend.capacity ?? {}).length > 0;
  return (
    <Field
      name="gpu"
      label={trans.__('GPU')}
      note={
        isKnown
          ? trans.__('%1 has no GPU', title)
          : trans.__('%1 does not say whether it has GPUs', title)
      }
      disabled={true}
    >
      {control => (
        <NumberInput control={control} value="0" onChange={() => undefined} />
      )}
    </Field>
  );
}

/** The fields for CPU, memory and accelerators. */
export function ResourceFields(props: IFormProps): JSX.Element {
  const slots = Object.keys(props.form.values.accelerators);
  return (
    <>
      <CpuField {...props} />
      <MemoryField {...props} />
      {slots.length === 0 && <NoAccelerator {...props} />}
      {slots.map(slot => (
        <AcceleratorField key={slot} {...props} slot={slot} />
      ))}
    </>
  );
}
