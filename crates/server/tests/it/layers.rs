//! No circles: of any two files or folders of the server's source that stand side by side, at most one imports the other,
//! whatever lies in between.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// A module, by the names from the crate's root on.
type Module = Vec<String>;

#[test]
fn nothing_imports_back_up() {
    let mut sources = BTreeMap::new();
    read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &Vec::new(), &mut sources);
    assert!(sources.len() > 100, "{} modules", sources.len());

    let mut imports = BTreeMap::<_, BTreeMap<_, BTreeSet<_>>>::new();
    for (module, source) in &sources {
        for target in targets(module, source, &sources) {
            let shared = module.iter().zip(&target).take_while(|(one, other)| one == other).count();
            // A module and what is inside it belong together.
            let (Some(from), Some(to)) = (module.get(shared), target.get(shared)) else { continue };
            let beside = imports.entry(target[..shared].to_vec()).or_default();
            beside.entry(from.clone()).or_default().insert(to.clone());
        }
    }
    assert!(imports[&Module::new()]["app"].contains("routes"), "imports are found");
    for (folder, of) in imports {
        let circle = circle(of);
        assert!(
            circle.is_empty(),
            "in src/{} these import each other: {circle:?}",
            folder.join("/")
        );
    }
}

fn read(folder: &Path, module: &Module, sources: &mut BTreeMap<Module, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let mut inner = module.clone();
        if name != "mod" && name != "lib" {
            inner.push(name.to_owned());
        }
        if path.is_dir() {
            read(&path, &inner, sources);
        } else {
            let source = fs::read_to_string(path).unwrap();
            let code = source.lines().map(|line| line.split("//").next().unwrap());
            sources.insert(inner, code.collect::<Vec<_>>().join("\n"));
        }
    }
}

/// The modules that a module names: in `use`, or in a path that begins with `crate` or `super`.
fn targets(module: &Module, source: &str, all: &BTreeMap<Module, String>) -> Vec<Module> {
    let mut paths = Vec::new();
    for (at, _) in source.match_indices("use ") {
        if let Some((tree, _)) = source[at + 4..].split_once(';') {
            flatten("", tree, &mut paths);
        }
    }
    for start in ["crate::", "super::"] {
        paths.extend(source.match_indices(start).map(|(at, _)| {
            let is_path = |c: char| c == ':' || c == '_' || c.is_ascii_alphanumeric();
            source[at..].chars().take_while(|c| is_path(*c)).collect()
        }));
    }
    paths.iter().filter_map(|path| resolve(module, path, all)).collect()
}

/// The paths of a tree of `use`, without what is renamed.
fn flatten(prefix: &str, tree: &str, paths: &mut Vec<String>) {
    let tree = tree.trim();
    match tree.split_once('{') {
        Some((more, inner)) if tree.ends_with('}') => {
            let (prefix, inner) = (format!("{prefix}{}", more.trim()), &inner[..inner.len() - 1]);
            let (mut depth, mut from) = (0, 0);
            for (at, c) in inner.char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        flatten(&prefix, &inner[from..at], paths);
                        from = at + 1;
                    }
                    _ => {}
                }
            }
            flatten(&prefix, &inner[from..], paths);
        }
        _ => paths.push(format!("{prefix}{}", tree.split(" as ").next().unwrap())),
    }
}

/// The innermost module of a path; none if it leads out of the crate.
fn resolve(module: &Module, path: &str, all: &BTreeMap<Module, String>) -> Option<Module> {
    let mut names = path.split("::").map(str::trim).peekable();
    let mut target = module.clone();
    if names.next_if_eq(&"crate").is_some() {
        target.clear();
    }
    while let Some(up) = names.next_if(|name| ["super", "self"].contains(name)) {
        if up == "super" {
            target.pop();
        }
    }
    target.extend(names.map(str::to_owned));
    while !target.is_empty() && !all.contains_key(&target) {
        target.pop();
    }
    (!target.is_empty()).then_some(target)
}

/// What is left when those are taken away, again and again, that import none of the others or that none imports.
fn circle(mut imports: BTreeMap<String, BTreeSet<String>>) -> BTreeMap<String, BTreeSet<String>> {
    loop {
        let left: BTreeSet<_> = imports.keys().cloned().collect();
        for of in imports.values_mut() {
            of.retain(|one| left.contains(one));
        }
        let imported: BTreeSet<_> = imports.values().flatten().cloned().collect();
        imports.retain(|one, of| !of.is_empty() && imported.contains(one));
        if imports.len() == left.len() {
            return imports;
        }
    }
}
