import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Licences that allow what is done here: to pass the code on, bundled, with their text beside it. */
const allowed = ['MIT', 'ISC', 'BSD-3-Clause', 'BlueOak-1.0.0', 'Apache-2.0']

/**
 * A plugin that writes down whose code is in a bundle, from the modules that are: THIRD_PARTY_NOTICES for people, with the
 * licences, and sbom.cdx.json (CycloneDX 1.6) for what looks for vulnerable packages, since an installed package lacks them.
 */
export const thirdParty = {
  name: 'third-party',
  generateBundle(_, bundle) {
    const modules = Object.values(bundle).flatMap((file) => (file.type === 'chunk' ? file.moduleIds : []))
    const folders = new Set(modules.flatMap((id) => /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(id)?.[0] ?? []))
    // One version may be installed in two places.
    const packages = new Map([...folders].map(packageIn).map((one) => [one.purl, one]))
    const sorted = [...packages.keys()].sort().map((purl) => packages.get(purl))
    const refused = sorted.filter(({ license }) => !allowed.includes(license))
    if (refused.length > 0)
      throw new Error(refused.map(({ purl, license }) => `${purl} has the licence ${license}`).join('\n'))
    this.emitFile({ type: 'asset', fileName: 'THIRD_PARTY_NOTICES', source: sorted.map(notice).join('\n') })
    this.emitFile({ type: 'asset', fileName: 'sbom.cdx.json', source: `${JSON.stringify(sbom(sorted), null, 2)}\n` })
  },
}

function packageIn(folder) {
  const { name, version, license, author } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const texts = readdirSync(folder)
    .filter((file) => /^(licen[cs]e|notice|copying)/i.test(file))
    .map((file) => readFileSync(join(folder, file), 'utf8').trim())
  const purl = `pkg:npm/${name.replace('@', '%40')}@${version}`
  return { name, version, license, author: author?.name ?? author ?? 'its authors', texts, purl }
}

const notice = ({ name, version, license, author, texts }) =>
  `${'-'.repeat(80)}\n${name} ${version}, ${license}\n\n${texts.join('\n\n') || `Copyright (c) ${author}\n\nThe package brings no text of its licence.`}\n`

function sbom(packages) {
  const { name, version } = JSON.parse(readFileSync('package.json', 'utf8'))
  return {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: { component: { type: 'application', name, version } },
    components: packages.map(({ name, version, license, purl }) => ({
      type: 'library',
      'bom-ref': purl,
      name,
      version,
      licenses: [{ license: { id: license } }],
      purl,
    })),
  }
}
