import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { reference, referenceFile } from '../../scripts/docs.ts'
import { draw } from '../../scripts/pictures.ts'
import { reportSchema, reportSchemaFile } from '../../scripts/report-schema.ts'

test('the reference is what the help says (else: npm run docs)', async () => {
  expect(await reference()).toBe(readFileSync(referenceFile, 'utf8'))
})

test('the schema of reports has every code and field (else: npm run docs)', () => {
  expect(reportSchema()).toBe(readFileSync(reportSchemaFile, 'utf8'))
})

test('the pictures show what the program prints (else: npm run docs)', async () => {
  const pictures = await draw()
  expect(Object.keys(pictures)).toEqual(['docs/list.svg', 'docs/rotate.svg'])
  for (const [file, picture] of Object.entries(pictures)) {
    expect(picture).toMatch(/^\$|>\$ /m)
    expect(picture).toBe(readFileSync(file, 'utf8'))
  }
})
