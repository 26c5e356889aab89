use std::{fs, path::Path};

use searchop_contract::{Digest, FileEntry, ModelManifest, names};
use searchop_model::{
    artifact::{Golden, read_model, verify_artifact, write_artifact, write_file},
    bundle::Bundle,
    features,
    item::{Candidate, ItemFields},
};

use crate::{
    forest_text,
    shop::{self, Artifacts, NOW},
};

fn open(shop: &Artifacts) -> Result<Bundle, String> {
    Bundle::open(
        &shop.model_dir(),
        &shop.model,
        &shop.tables_dir(),
        &shop.tables,
    )
    .map_err(|error| error.to_string())
}

fn refusal(shop: &Artifacts) -> String {
    open(shop).err().unwrap_or_else(|| "accepted".to_owned())
}

fn candidate(id: &str) -> Candidate<'_> {
    Candidate {
        id,
        ..Candidate::default()
    }
}

#[test]
fn a_published_model_ranks_by_ids_and_by_fields() {
    let bundle = open(&Artifacts::write()).unwrap();
    let ids = ["kettle", "sock", "shoe", "unknown"].map(candidate);
    let scored = bundle.rank("Running  Shoes", NOW, &ids);
    let order: Vec<&str> = scored.iter().map(|scored| ids[scored.index].id).collect();
    assert_eq!(order, ["shoe", "sock", "kettle", "unknown"]);
    assert_eq!(scored[0].score, 1.5 + -0.1 + 0.7);
    assert!(scored[0].known && !scored[3].known);

    // The request wins: a cheap kettle that is called a running shoe beats the sock.
    let fields = ItemFields {
        title: Some("running shoes".into()),
        price: Some(1.0),
        ..ItemFields::default()
    };
    let renamed = [
        candidate("sock"),
        Candidate {
            fields: &fields,
            ..candidate("kettle")
        },
    ];
    assert_eq!(bundle.rank("running shoes", NOW, &renamed)[0].index, 1);
    // An item that the tables do not know lives from its fields alone.
    let fresh = [
        candidate("sock"),
        Candidate {
            fields: &fields,
            ..candidate("fresh")
        },
    ];
    assert_eq!(bundle.rank("running shoes", NOW, &fresh)[0].index, 1);
    assert!(bundle.rank("running shoes", NOW, &[]).is_empty());
}

#[test]
fn equal_scores_keep_the_order_of_the_request_and_no_candidate_changes_another() {
    let bundle = open(&Artifacts::write()).unwrap();
    let ids: Vec<String> = (0..50).map(|index| format!("x{index}")).collect();
    let same: Vec<Candidate> = ids.iter().map(|id| candidate(id)).collect();
    let order: Vec<usize> = bundle
        .rank("tent", NOW, &same)
        .iter()
        .map(|scored| scored.index)
        .collect();
    assert_eq!(order, (0..50).collect::<Vec<_>>());

    let all = ["shoe", "sock", "kettle"].map(candidate);
    let together = bundle.features_of("running shoes", NOW, &all);
    for (candidate, row) in all.iter().zip(together) {
        let alone = bundle
            .features_of("running shoes", NOW, std::slice::from_ref(candidate))
            .remove(0);
        assert_eq!(format!("{alone:?}"), format!("{row:?}"));
    }
}

#[test]
fn given_values_and_fields_win_over_what_would_be_computed() {
    let bundle = open(&Artifacts::write()).unwrap();
    let price = features::column("price_log").unwrap();
    let values = [
        (price, 9.0),
        (features::column("rating").unwrap(), f32::NAN),
    ];
    let sold_out = ItemFields {
        stock: Some(0.0),
        ..ItemFields::default()
    };
    let candidates = [
        candidate("shoe"),
        Candidate {
            values: &values,
            ..candidate("shoe")
        },
        Candidate {
            fields: &sold_out,
            ..candidate("shoe")
        },
    ];
    let rows = bundle.features_of("shoes", NOW, &candidates);
    for (column, value) in rows[0].iter().enumerate() {
        match values.iter().find(|(given, _)| *given == column) {
            Some((_, given)) => assert_eq!(rows[1][column].to_bits(), given.to_bits()),
            None => assert_eq!(rows[1][column].to_bits(), value.to_bits()),
        }
    }
    let mut scored = bundle.rank("shoes", NOW, &candidates);
    scored.sort_by_key(|scored| scored.index);
    let sold_out: Vec<bool> = scored.iter().map(|scored| scored.sold_out).collect();
    assert_eq!(sold_out, [false, false, true]);
}

#[test]
fn fields_equal_to_the_tables_give_the_tables_row() {
    let bundle = open(&Artifacts::write()).unwrap();
    let fields = shop::rows().items.remove(0).fields;
    let rows = bundle.features_of(
        "shoes",
        NOW,
        &[
            candidate("shoe"),
            Candidate {
                fields: &fields,
                ..candidate("shoe")
            },
        ],
    );
    assert_eq!(format!("{:?}", rows[0]), format!("{:?}", rows[1]));
}

#[test]
fn other_digests_are_refused_before_anything_is_parsed() {
    let mut shop = Artifacts::write();
    fs::write(shop.model_dir().join(names::MANIFEST_FILE), "not even JSON").unwrap();
    let found = Digest::of(b"not even JSON");
    assert_eq!(
        refusal(&shop),
        format!(
            "manifest.json: has digest {found}, expected {}: the artifact is cut off or altered",
            shop.model
        )
    );
    shop.model = found;
    assert!(
        refusal(&shop).starts_with("manifest.json: expected"),
        "{}",
        refusal(&shop)
    );
    fs::remove_file(shop.model_dir().join(names::MANIFEST_FILE)).unwrap();
    assert!(refusal(&shop).ends_with("No such file or directory (os error 2)"));
}

#[test]
fn an_altered_file_is_refused_by_its_hash() {
    for (folder, file) in [
        ("model", names::MODEL_FILE),
        ("model", names::GOLDEN_FILE),
        ("tables", names::ITEMS_FILE),
    ] {
        let shop = Artifacts::write();
        let dir = if folder == "model" {
            shop.model_dir()
        } else {
            shop.tables_dir()
        };
        let whole = fs::read(dir.join(file)).unwrap();
        for at in (0..whole.len()).step_by(97) {
            let mut flipped = whole.clone();
            flipped[at] ^= 4;
            fs::write(dir.join(file), flipped).unwrap();
            let message = refusal(&shop);
            assert!(
                message.starts_with(&format!("{file}: has sha256")),
                "{message}"
            );
        }
        fs::write(dir.join(file), &whole[1..]).unwrap();
        let message = refusal(&shop);
        assert!(
            message.starts_with(&format!(
                "{file}: has {} bytes, the manifest says {}",
                whole.len() - 1,
                whole.len()
            )),
            "{message}"
        );
        fs::write(dir.join(file), [&whole[..], b"x"].concat()).unwrap();
        assert!(
            refusal(&shop).starts_with(&format!("{file}: has more than")),
            "{}",
            refusal(&shop)
        );
    }
}

/// A sealed model whose golden sample or manifest is another.
fn with(golden: impl FnOnce(&mut Golden), manifest: impl FnOnce(&mut ModelManifest)) -> String {
    let mut shop = Artifacts::write();
    let mut changed = open(&shop).unwrap().model;
    golden(&mut changed.golden);
    manifest(&mut changed.manifest);
    shop.model = shop::seal_model(&shop.model_dir(), &changed.golden, changed.manifest);
    refusal(&shop)
}

#[test]
fn a_model_that_does_not_fit_this_program_is_refused() {
    assert_eq!(with(|_| {}, |_| {}), "accepted");
    assert_eq!(
        with(|_| {}, |m| m.trees = 4),
        "model.bst: has 3 trees, the manifest says 4"
    );
    assert_eq!(
        with(|_| {}, |m| m.features.swap(0, 1)),
        "model.bst: feature 0 is \"query_terms\", the manifest has \"query_mean_idf\""
    );
    let last = features::features().len() - 1;
    assert_eq!(
        with(|_| {}, |m| m.features.truncate(last)),
        format!("model.bst: feature {last} is \"list_price_rank\", the manifest has none")
    );
    assert!(
        with(|_| {}, |m| m.features_version += 1)
            .starts_with("featuresVersion is 3, this program reads 2")
    );
    assert!(
        with(|_| {}, |m| m.text.language = "german".into())
            .starts_with("text version is 1 of german")
    );
}

#[test]
fn a_golden_sample_that_is_not_met_is_refused() {
    assert!(with(|g| g.rows[1].score += 1e-6, |_| {}).starts_with("golden.json row 1: scores "));
    assert_eq!(with(|g| g.rows[1].score += 1e-12, |_| {}), "accepted");
    assert_eq!(
        with(|g| g.rows.clear(), |_| {}),
        "golden.json row 0: there are no rows"
    );
    let rating =
        |g: &mut Golden| g.rows[2].features[features::column("rating").unwrap()] = Some(4.0);
    assert_eq!(
        with(rating, |_| {}),
        "golden.json row 2: rating is NaN, the trainer computed 4"
    );
    let rating_of_other_tables = |g: &mut Golden| {
        rating(g);
        g.tables_digest = Digest::of(b"refreshed");
    };
    assert_eq!(with(rating_of_other_tables, |_| {}), "accepted");
    assert_eq!(
        with(|g| g.rows[0].item = "gone".into(), |_| {}),
        "golden.json row 0: item \"gone\" is not in the tables"
    );
    assert_eq!(
        with(|g| g.rows[0].features.truncate(27), |_| {}),
        format!(
            "golden.json row 0: has 27 features, the model has {}",
            features::features().len()
        )
    );
}

#[test]
fn manifests_cannot_name_files_elsewhere() {
    let shop = Artifacts::write();
    let dir = shop.model_dir();
    let text = fs::read_to_string(dir.join(names::MANIFEST_FILE)).unwrap();
    for name in [
        "../tables/items.table",
        "/etc/passwd",
        "",
        ".",
        "..",
        ".hidden",
        "a\\\\b",
        "manifest.json",
        "model.bst",
    ] {
        let changed = text.replace("\"golden.json\"", &format!("\"{name}\""));
        fs::write(dir.join(names::MANIFEST_FILE), &changed).unwrap();
        let error = verify_artifact(&dir, &Digest::of(changed.as_bytes()))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("is not a plain file name") || error.contains("is listed twice"),
            "{name}: {error}"
        );
    }
}

#[test]
fn sealing_lists_every_file_in_order_and_depends_on_nothing_else() {
    let seal = |dir: &Path| {
        for (name, text) in [("b.txt", "bb"), ("a.txt", "")] {
            write_file(dir, name, text.as_bytes()).unwrap();
        }
        write_artifact(dir, shop::manifest(1)).unwrap()
    };
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (digest, manifest) = seal(one.path());
    assert_eq!(seal(two.path()).0, digest);
    // Sealing again changes nothing.
    assert_eq!(seal(one.path()).0, digest);
    let listed: Vec<(&str, u64)> = manifest
        .files
        .iter()
        .map(|FileEntry { name, bytes, .. }| (name.as_str(), *bytes))
        .collect();
    assert_eq!(listed, [("a.txt", 0), ("b.txt", 2)]);
    assert_eq!(
        verify_artifact(one.path(), &digest).unwrap(),
        manifest.files
    );
}

#[test]
fn a_malformed_forest_is_refused_even_when_it_is_sealed() {
    let mut shop = Artifacts::write();
    let cut = shop::forest_text().replace("end of trees", "end of file");
    write_file(&shop.model_dir(), names::MODEL_FILE, cut.as_bytes()).unwrap();
    shop.model = write_artifact(&shop.model_dir(), shop::manifest(3))
        .unwrap()
        .0;
    assert_eq!(
        read_model(&shop.model_dir(), &shop.model)
            .unwrap_err()
            .to_string(),
        "model.bst: model text: \"end of trees\" is not where tree_sizes puts it, after 3 trees"
    );
    let other = forest_text::model(&["a"], &[forest_text::leaf("0")]);
    write_file(&shop.model_dir(), names::MODEL_FILE, other.as_bytes()).unwrap();
    shop.model = write_artifact(&shop.model_dir(), shop::manifest(1))
        .unwrap()
        .0;
    assert_eq!(
        refusal(&shop),
        "model.bst: feature 0 is \"a\", the manifest has \"query_terms\""
    );
}

#[test]
fn only_a_model_that_says_so_compares_candidates() {
    let ids: Vec<String> = (0..features::MIN_CANDIDATES)
        .map(|n| format!("new{n}"))
        .collect();
    let fields: Vec<ItemFields> = (0..features::MIN_CANDIDATES)
        .map(|n| ItemFields {
            title: Some("Running shoes".into()),
            price: Some(n as f64),
            ..ItemFields::default()
        })
        .collect();
    let candidates: Vec<Candidate> = ids
        .iter()
        .zip(&fields)
        .map(|(id, fields)| Candidate {
            id,
            fields,
            ..Candidate::default()
        })
        .collect();
    let column = features::column("list_price_rank").unwrap();
    let mut bundle = open(&Artifacts::write()).unwrap();
    let rank = |bundle: &Bundle| {
        let rows = bundle.features_of("running shoes", NOW, &candidates);
        (rows[0][column], rows.last().unwrap()[column])
    };
    assert!(rank(&bundle).0.is_nan() && !bundle.looks_at_lists());
    bundle.model.manifest.candidate_list = true;
    assert_eq!(rank(&bundle), (0.0, 1.0));
}
