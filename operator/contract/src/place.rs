/// Characters of the UID in the folder's name: as many as tell apart what ever had one name.
const UID_CHARACTERS: usize = 8;

/// Where a model's versions are: a folder of its own below `artifacts.uri`, as `s3://` or `pvc://`. A
/// trainer prunes what its job does not keep, so two models, or a model and the one of the same name
/// before it, never share a folder.
pub fn artifacts_uri(base: &str, model: &str, uid: &str) -> String {
    let uid: String = uid.chars().take(UID_CHARACTERS).collect();
    format!("{}/{model}-{uid}", base.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_has_a_folder_of_its_own() {
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
            assert_eq!(artifacts_uri(base, name, uid), expected);
        }
    }
}
