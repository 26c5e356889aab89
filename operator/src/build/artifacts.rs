use searchop_api::RankingModelSpec;

use super::Owner;

/// Characters of the UID in the folder's name: as many as tell apart what ever had one name.
const UID_CHARACTERS: usize = 8;

/// Where this model's versions are: a folder of its own below `artifacts.uri`, as `s3://` or
/// `pvc://`. A trainer prunes what its job does not keep, so two models, or a model and the one of
/// the same name before it, never share a folder.
pub(super) fn artifacts_uri(owner: &Owner, spec: &RankingModelSpec) -> String {
    let uid: String = owner.uid.chars().take(UID_CHARACTERS).collect();
    format!(
        "{}/{}-{uid}",
        spec.artifacts.uri.trim_end_matches('/'),
        owner.name
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_model_has_a_folder_of_its_own() {
        let uri = |base: &str, name: &str, uid: &str| {
            let spec = json!({"data": {"synthetic": {}}, "artifacts": {"uri": base}});
            let owner = Owner {
                name: name.to_owned(),
                namespace: "shop".to_owned(),
                uid: uid.to_owned(),
            };
            artifacts_uri(&owner, &serde_json::from_value(spec).unwrap())
        };
        let (one, two) = (
            "4f6c2d1e-0000-4000-8000-000000000001",
            "5a7d3e2f-0000-4000-8000-000000000001",
        );
        let table = [
            (
                "s3://models/shop",
                "products",
                one,
                "s3://models/shop/products-4f6c2d1e",
            ),
            (
                "s3://models/shop",
                "books",
                two,
                "s3://models/shop/books-5a7d3e2f",
            ),
            (
                "s3://models/shop",
                "products",
                two,
                "s3://models/shop/products-5a7d3e2f",
            ),
            (
                "s3://models",
                "products",
                one,
                "s3://models/products-4f6c2d1e",
            ),
            (
                "s3://models//",
                "products",
                one,
                "s3://models/products-4f6c2d1e",
            ),
            (
                "pvc://models",
                "products",
                one,
                "pvc://models/products-4f6c2d1e",
            ),
            (
                "pvc://models/a/",
                "products",
                one,
                "pvc://models/a/products-4f6c2d1e",
            ),
        ];
        for (base, name, uid, expected) in table {
            assert_eq!(uri(base, name, uid), expected);
        }
    }
}
