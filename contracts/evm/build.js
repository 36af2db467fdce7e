// Compiles the sources of this folder.
//
//   node build.js                      compiles src/ and writes bytecode/
//   node build.js --check              compiles src/ and compares with bytecode/
//   node build.js --corpus [VYPER]     prints every contract of src/ and corpus/ by every compiler, as JSON: {"specimens":
//     [{"name","compiler","constructor":[type..],"creation","methods":[{"signature","selector","inputs":[type..]}]}..],
//     "refused":[..]}
//
// `npm ci` in this folder fetches the compilers. VYPER is the command of a Vyper compiler.
"use strict";

const { execFileSync } = require("child_process");
const fs = require("fs");
const path = require("path");

const here = __dirname;
const packages = require("./package.json");
const { version: openzeppelin } = require("@openzeppelin/contracts/package.json");
const wrapper = require("solc/wrapper");

const EVM_VERSION = "cancun";
const COMMITTED = ["Soak", "Token", "Pair", "Router", "Nft"];
const CURRENT = "solc";

// The compilers that the corpus is compiled with; the wrapper of the newest loads them all.
function compiler(name) {
  return wrapper(require(`${name}/soljson.js`));
}

function read(folder, name) {
  return fs.readFileSync(path.join(here, folder, name), "utf8");
}

// What a source imports: a neighbour, or a file of a package.
function found(folder, name) {
  try {
    const neighbour = path.join(here, folder, name);
    const file = fs.existsSync(neighbour) ? neighbour : require.resolve(name);
    return { contents: fs.readFileSync(file, "utf8") };
  } catch (error) {
    return { error: String(error.message) };
  }
}

// Compiles files of a folder with the standard JSON of a compiler; gives its contracts by file and name.
function compile(solc, folder, files, settings) {
  const sources = {};
  for (const file of files) {
    sources[file] = { content: read(folder, file) };
  }
  const selection = { "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object", "evm.methodIdentifiers"] } };
  const input = { language: "Solidity", sources, settings: { outputSelection: selection, ...settings } };
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: (name) => found(folder, name) }));
  const errors = (output.errors || []).filter((error) => error.severity === "error");
  if (errors.length > 0) {
    throw new Error(errors.map((error) => error.formattedMessage).join("\n"));
  }
  return output.contracts;
}

function committed() {
  const solc = compiler(CURRENT);
  const settings = {
    optimizer: { enabled: true, runs: 200 },
    viaIR: false,
    evmVersion: EVM_VERSION,
    // Nothing but code: what is told about it is in the record.
    metadata: { bytecodeHash: "none", appendCBOR: false },
  };
  const files = COMMITTED.map((name) => `${name}.sol`);
  const contracts = compile(solc, "src", files, settings);
  return COMMITTED.map((name) => {
    const { abi, evm } = contracts[`${name}.sol`][name];
    const constructor = abi.find((entry) => entry.type === "constructor");
    const record = {
      name,
      source: `src/${name}.sol`,
      compiler: `solc ${solc.version()}`,
      openzeppelin,
      optimizer: settings.optimizer,
      viaIR: settings.viaIR,
      evmVersion: EVM_VERSION,
      constructor: constructor ? constructor.inputs.map((input) => input.type) : [],
      selectors: evm.methodIdentifiers,
      creation: evm.bytecode.object,
      runtime: evm.deployedBytecode.object,
    };
    return { file: path.join(here, "bytecode", `${name}.json`), text: `${JSON.stringify(record, null, 2)}\n` };
  });
}

// One contract as the tests take it: its code, its methods, the types of their inputs.
function specimen(name, by, abi, creation, identifiers) {
  const type = (input) =>
    input.type.startsWith("tuple")
      ? `(${input.components.map(type).join(",")})${input.type.slice("tuple".length)}`
      : input.type;
  const types = (entry) => (entry.inputs || []).map(type);
  const methods = abi
    .filter((entry) => entry.type === "function")
    .map((entry) => {
      const signature = `${entry.name}(${types(entry).join(",")})`;
      return { signature, selector: identifiers(signature), inputs: types(entry) };
    });
  const constructor = types(abi.find((entry) => entry.type === "constructor") || {});
  return { name, compiler: by, constructor, creation, methods };
}

function solidity(folder, file, solc, by, settings, specimens) {
  const contracts = compile(solc, folder, [file], settings);
  for (const [name, { abi, evm }] of Object.entries(contracts[file])) {
    // Interfaces have no code.
    const code = evm.bytecode.object;
    if (code.length === 0) continue;
    specimens.push(specimen(name, by, abi, code, (signature) => evm.methodIdentifiers[signature]));
  }
}

function corpus(vyper) {
  const [specimens, refused] = [[], []];
  const names = Object.keys(packages.devDependencies).sort();
  for (const name of [...names, CURRENT]) {
    const solc = compiler(name);
    const version = solc.version().split("+")[0];
    const minor = Number(version.split(".")[1]);
    const current = name === CURRENT;
    for (const enabled of [false, true]) {
      // The way over the intermediate language is there since 0.8.13.
      for (const viaIR of minor >= 8 ? [false, true] : [false]) {
        const settings = { optimizer: { enabled, runs: 200 } };
        if (viaIR) settings.viaIR = true;
        if (current) settings.evmVersion = EVM_VERSION;
        const by = `solc ${version}${enabled ? " optimized" : ""}${viaIR ? " via IR" : ""}`;
        const sources = ["Ages", ...(current ? ["Modern"] : [])].map((file) => ["corpus", file]);
        sources.push(...(current ? COMMITTED.map((file) => ["src", file]) : []));
        for (const [folder, file] of sources) {
          try {
            solidity(folder, `${file}.sol`, solc, by, settings, specimens);
          } catch (error) {
            // What the compilers say of contracts that they cannot place on the stack of the EVM.
            if (!/stack too deep|too deep inside the stack/i.test(error.message)) throw error;
            refused.push(`${file} by ${by}`);
          }
        }
      }
    }
  }
  if (vyper) specimens.push(...ledger(vyper));
  return { specimens, refused };
}

function ledger(vyper) {
  const run = (...options) =>
    execFileSync(vyper, [...options, path.join(here, "corpus", "Ledger.vy")], { encoding: "utf8" }).trim();
  const version = execFileSync(vyper, ["--version"], { encoding: "utf8" }).split("+")[0].trim();
  const levels = [["none"], ["codesize"], ["gas"], ["gas", "--experimental-codegen"]];
  return levels.map(([level, ...more]) => {
    const outputs = run("-f", "abi,method_identifiers,bytecode", "--evm-version", EVM_VERSION, "--optimize", level, ...more);
    const [abi, identifiers, creation] = outputs.split("\n").filter((line) => line.length > 0);
    const selectors = JSON.parse(identifiers);
    const by = `vyper ${version} ${[level, ...more].join(" ").replace("--", "")}`;
    const selector = (signature) => selectors[signature].replace(/^0x/, "").padStart(8, "0");
    return specimen("Ledger", by, JSON.parse(abi), creation.replace(/^0x/, ""), selector);
  });
}

const [verb, argument] = process.argv.slice(2);
if (verb === "--corpus") {
  process.stdout.write(JSON.stringify(corpus(argument)));
} else if (verb === "--check") {
  const other = committed().filter(({ file, text }) => !fs.existsSync(file) || fs.readFileSync(file, "utf8") !== text);
  for (const { file } of other) {
    console.error(`${path.relative(here, file)} is not what its source compiles to; run: node build.js`);
  }
  process.exitCode = other.length > 0 ? 1 : 0;
} else if (verb === undefined) {
  fs.mkdirSync(path.join(here, "bytecode"), { recursive: true });
  for (const { file, text } of committed()) fs.writeFileSync(file, text);
} else {
  console.error("node build.js [--check | --corpus [VYPER]]");
  process.exitCode = 2;
}
