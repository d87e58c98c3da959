/** The options for what people say of an integration, for themselves. @module */
import { type Command, InvalidArgumentError, Option, type OptionValues } from '@commander-js/extra-typings'
import { badInput } from '../../errors.ts'
import type { LabelChange } from '../../operations/integrations/labels.ts'
import { each } from '../input/arguments.ts'

/** A tag as it is given. */
type Tag = readonly [key: string, value: string]

/** What the options are parsed to. */
export interface LabelOptions {
  readonly owner?: string | undefined
  readonly tag?: readonly Tag[] | undefined
  readonly note?: string | undefined
}

/** Adds the options that set labels. */
export const withLabelOptions = <A extends unknown[], O extends OptionValues>(command: Command<A, O>) =>
  command
    .addOption(new Option('--owner <owner>', 'who answers for the integration, as in team-payments'))
    .addOption(
      new Option(
        '--tag <key=value>',
        'a tag for filters and policies, as in env=production; may be given several times',
      ).argParser(each(tagOf)),
    )
    .addOption(new Option('--note <text>', 'a note for people'))

function tagOf(text: string): Tag {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('write a key and a value, as in env=production')
  return [text.slice(0, at), text.slice(at + 1)]
}

/** The labels among parsed options. @param untag the keys of tags to remove @throws BAD_INPUT */
export function givenLabels({ owner, tag = [], note }: LabelOptions, untag: readonly string[] = []): LabelChange {
  const keys = [...tag.map(([key]) => key), ...untag]
  const twice = keys.find((key, i) => keys.indexOf(key) !== i)
  if (twice !== undefined) throw badInput(`the tag ${twice} is given twice`, 'keep one of the two')
  const tags = Object.fromEntries([...tag, ...untag.map((key) => [key, null] as const)])
  return { owner, note, tags }
}
